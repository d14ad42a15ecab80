"""What the answers of a server mean to the user of a command."""

from typing import Any

import httpx2
import pytest

from nexus.cli.errors import BadUsage, CliError, Failed, NotReachable
from nexus.cli.problems import refusal, refused_credentials


def answer(status: int, body: Any = None, **headers: str) -> httpx2.Response:
    request = httpx2.Request("POST", "http://nexus.test/groups")
    if isinstance(body, str):
        return httpx2.Response(status, text=body, headers=headers, request=request)
    return httpx2.Response(status, json=body, headers=headers, request=request)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadUsage),
        (401, BadUsage),
        (403, BadUsage),
        (404, Failed),
        (409, Failed),
        (413, BadUsage),
        (415, BadUsage),
        (422, BadUsage),
        (429, NotReachable),
        (500, Failed),
        (503, NotReachable),
    ],
)
def test_each_status_has_its_exit_code(status: int, kind: type[CliError]) -> None:
    problem = {"status": status, "code": "some_code", "detail": "so it is"}
    error = refusal(answer(status, problem))
    assert type(error) is kind
    assert "so it is" in error.message


def test_wrong_fields_are_named_in_one_line() -> None:
    problem = {
        "detail": "/slug: too long (and 1 more)",
        "code": "invalid_payload",
        "errors": [
            {"pointer": "/slug", "detail": "too long"},
            {"pointer": "/tags/0", "detail": "must be\na word"},
        ],
    }
    assert refusal(answer(422, problem)).message == "slug: too long; tags.0: must be a word"


@pytest.mark.parametrize("body", ["<html>nginx</html>", "[]", '{"message": "no route"}', ""])
def test_an_answer_that_is_not_of_nexus_says_to_check_the_address(body: str) -> None:
    error = refusal(answer(404, body))
    assert type(error) is BadUsage
    assert "check --url" in error.message


def test_a_gateway_without_nexus_behind_it_counts_as_not_reachable() -> None:
    assert type(refusal(answer(502, "<html>bad gateway</html>"))) is NotReachable


def test_a_failure_without_a_problem_counts_as_the_servers() -> None:
    assert type(refusal(answer(500, "Internal Server Error"))) is Failed


def test_a_redirect_names_the_address_to_use() -> None:
    error = refusal(answer(308, location="https://nexus.test/groups"))
    assert type(error) is BadUsage
    assert "https://nexus.test/groups" in error.message


def test_refused_credentials_tell_where_they_came_from() -> None:
    body = {"error": "invalid_client", "error_description": "unknown client or wrong secret"}
    error = refused_credentials(answer(401, body), "the options")
    assert type(error) is BadUsage
    assert "the options" in error.message
    assert "wrong secret" in error.message


def test_a_token_endpoint_that_is_overloaded_counts_as_not_reachable() -> None:
    body = {"error": "temporarily_unavailable", "error_description": "the disk is full"}
    assert type(refused_credentials(answer(503, body), "the options")) is NotReachable
