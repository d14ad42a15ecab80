"""What cannot be understood is refused in one form, with a stable code and what to change."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from live_nexus import LiveNexus

pytestmark = pytest.mark.asyncio(loop_scope="module")

TASKS = "/observer/tasks"
GOOD = '"projectId": "team", "title": "x"'


def check_problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert {"type", "title", "detail"} <= problem.keys()
    assert "Traceback" not in answer.text
    return problem


async def post(nexus: LiveNexus, body: bytes | str, path: str = TASKS) -> httpx2.Response:
    headers = {"Content-Type": "application/json"}
    return await nexus.admin.http.post(path, content=body, headers=headers)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="cut off"),
        pytest.param(b'{"title": "\xff"}', id="not UTF-8"),
        pytest.param("{}".encode("utf-16"), id="UTF-16"),
        pytest.param(b'\xef\xbb\xbf{"title": "x"}', id="byte order mark"),
        pytest.param(b'{"title": "\\ud800"}', id="half a surrogate pair"),
        pytest.param(f'{{{GOOD}, "metadata": {{"a": NaN}}}}', id="NaN"),
        pytest.param(f'{{{GOOD}, "metadata": {{"a": -Infinity}}}}', id="infinity"),
        pytest.param(f'{{{GOOD}, "metadata": {{"a": 1e999}}}}', id="a number that overflows"),
        pytest.param(b"[" * 100_000, id="100,000 opening brackets"),
        pytest.param(b"[" * 900 + b"]" * 900, id="900 levels"),
        pytest.param(
            f'{{{GOOD}, "metadata": {{"a": {"[" * 63}{"]" * 63}}}}}', id="one level too many"
        ),
    ],
)
async def test_what_is_no_plain_json_is_400(nexus: LiveNexus, body: bytes | str) -> None:
    check_problem(await post(nexus, body), 400, "invalid_json")


async def test_json_may_be_64_levels_deep_and_comes_back_as_it_was(nexus: LiveNexus) -> None:
    nested = f'{{"a": {"[" * 62}{"]" * 62}, "none": null, "list": [null, {{"b": null}}]}}'

    answer = await post(nexus, f'{{{GOOD}, "metadata": {nested}}}')

    assert answer.status_code == 201
    again = await nexus.admin.get(answer.headers["Location"])
    assert again["metadata"]["none"] is None
    assert again["metadata"]["list"] == [None, {"b": None}]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ("null", ""),
        ("[]", ""),
        ('{"title": "x"}', "/projectId"),
        (f'{{{GOOD}, "nope": 1}}', "/nope"),
        (f'{{{GOOD}, "a/b~c": 1}}', "/a~1b~0c"),
        (f'{{{GOOD}, "priority": true}}', "/priority"),
        (f'{{{GOOD}, "priority": "1"}}', "/priority"),
        (f'{{{GOOD}, "priority": 1.0}}', "/priority"),
        (f'{{{GOOD}, "priority": 0}}', "/priority"),
        (f'{{{GOOD}, "maxAttempts": 123456789012345678901234567890}}', "/maxAttempts"),
        (f'{{{GOOD}, "requiredCapabilities": ["ok", "not ok"]}}', "/requiredCapabilities/1"),
        (f'{{{GOOD}, "metadata": []}}', "/metadata"),
        (f'{{{GOOD}, "description": "\\u0000"}}', "/description"),
        (f'{{{GOOD}, "metadata": {{"a": ["\\u0000"]}}}}', "/metadata/a/0"),
        (f'{{{GOOD}, "metadata": {{"\\u0000": 1}}}}', "/metadata"),
        ('{"projectId": "team", "title": "   "}', "/title"),
        (f'{{"projectId": "team", "title": "{"x" * 501}"}}', "/title"),
    ],
)
async def test_a_wrong_field_is_pointed_at(nexus: LiveNexus, body: str, pointer: str) -> None:
    problem = check_problem(await post(nexus, body), 422, "invalid_payload")

    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert (pointer or "the body") in problem["detail"]


async def test_a_backslash_before_u0000_is_text_and_no_nul(nexus: LiveNexus) -> None:
    answer = await post(nexus, '{"projectId": "team", "title": "\\\\u0000"}')

    assert answer.json()["title"] == "\\u0000"


async def test_no_more_than_fifty_wrong_fields_are_listed(nexus: LiveNexus) -> None:
    fields = ", ".join(f'"f{number}": 1' for number in range(2000))

    problem = check_problem(await post(nexus, f"{{{fields}}}"), 422, "invalid_payload")

    assert len(problem["errors"]) == 50


async def test_a_refused_secret_is_not_repeated(nexus: LiveNexus) -> None:
    answer = await post(
        nexus, '{"name": "A", "clientId": "a", "clientSecret": "geheim"}', "/observer/agents"
    )

    check_problem(answer, 422, "invalid_payload")
    assert "geheim" not in answer.text


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "x"])
async def test_a_body_that_is_not_said_to_be_json_is_415(nexus: LiveNexus, kind: str) -> None:
    answer = await nexus.admin.http.post(
        TASKS, content=f"{{{GOOD}}}", headers={"Content-Type": kind}
    )

    check_problem(answer, 415, "unsupported_media_type")


async def test_ten_megabytes_are_refused_by_their_announced_length(nexus: LiveNexus) -> None:
    check_problem(await post(nexus, b" " * 10_000_000), 413, "payload_too_large")


async def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(
    nexus: LiveNexus,
) -> None:
    url = httpx2.URL(nexus.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        writer.write(
            b"POST /observer/tasks HTTP/1.1\r\nHost: nexus\r\nContent-Length: 10000000\r\n\r\n"
        )
        async with asyncio.timeout(10):
            assert b" 413 " in await reader.readline()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_ten_megabytes_that_were_not_announced_are_cut_off(nexus: LiveNexus) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 100_000

    answer = await nexus.admin.http.post(
        TASKS, content=chunks(), headers={"Content-Type": "application/json"}
    )

    check_problem(answer, 413, "payload_too_large")


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/groups?limit=0", "/limit"),
        ("/groups?limit=201", "/limit"),
        ("/groups?limit=many", "/limit"),
        (f"/groups?cursor={'x' * 129}", "/cursor"),
        (f"{TASKS}?status=nope", "/status"),
        (f"{TASKS}?stauts=TODO", "/stauts"),
        ("/observer/activity?cursor=99999999999999999999", "/cursor"),
        ("/observer/activity?after=-1", "/after"),
        ("/observer/activity?after=0&waitSeconds=31", "/waitSeconds"),
        ("/observer/activity?after=0&waitSeconds=nan", "/waitSeconds"),
        ("/tasks/x/slack-thread?cursor=1764000000.000123", "/cursor"),
    ],
)
async def test_a_wrong_parameter_is_pointed_at(nexus: LiveNexus, path: str, parameter: str) -> None:
    problem = check_problem(await nexus.admin.http.get(path), 422, "invalid_payload")

    assert problem["errors"][0]["pointer"] == parameter
    assert "(in the query)" in problem["detail"]


@pytest.mark.parametrize("path", ["/tasks/a%00b", "/groups?cursor=%00"])
async def test_nul_in_an_address_is_refused(nexus: LiveNexus, path: str) -> None:
    check_problem(await nexus.admin.http.get(path), 400, "bad_request")


@pytest.mark.parametrize(
    "path", ["/nope", "/groups/", "/groups/nope", "/projects/nope", "/tasks/nope", "/%F0%9F%92%A9"]
)
async def test_what_is_not_there_is_404(nexus: LiveNexus, path: str) -> None:
    check_problem(await nexus.admin.http.get(path), 404, "not_found")


async def test_a_method_that_is_not_offered_is_405_and_says_which_are(nexus: LiveNexus) -> None:
    answer = await nexus.admin.http.put("/groups", json={})

    check_problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/groups/team", {"name": None}),
        ("/projects/team", {"dispatchPolicy": None}),
        (f"{TASKS}/nope", {"title": None}),
        ("/observer/agents/nope", {"capabilities": None}),
    ],
)
async def test_null_does_not_empty_what_must_be_there(
    nexus: LiveNexus, path: str, body: dict[str, None]
) -> None:
    answer = await nexus.admin.http.patch(path, json=body)

    problem = check_problem(answer, 422, "invalid_payload")
    assert "null" in problem["errors"][0]["detail"]


async def test_null_empties_what_may_be_empty(nexus: LiveNexus) -> None:
    await nexus.admin.patch("/projects/team", oblivionTag="tag")

    project = await nexus.admin.patch("/projects/team", oblivionTag=None)

    assert "oblivionTag" not in project
