"""How the command line behaves when the network or the server does not."""

import json
from collections.abc import Iterator

import pytest

from nexus.cli.client import Client, open_http
from nexus.cli.credentials import Credentials
from nexus.cli.errors import BadUsage, Failed, NotReachable
from scripted_peer import TOKEN, Answer, Peer, Request, peer

CREDENTIALS = Credentials(client_id="admin", client_secret="s&cret=1", source="the test")


def client_of(server: Peer, pauses: list[float] | None = None) -> Client:
    noted = pauses if pauses is not None else []
    return Client(open_http(server.url, timeout_s=5.0), CREDENTIALS, sleep=noted.append)


def script(*answers: Answer | None) -> Iterator[Answer | None]:
    yield from answers


def tokens_and(answers: Iterator[Answer | None]) -> Peer:
    def say(request: Request) -> Answer | None:
        return TOKEN if request.path == "/auth/token" else next(answers)

    return Peer(say)


@pytest.fixture
def pauses() -> list[float]:
    return []


def test_a_busy_server_is_asked_again_after_the_time_it_names(pauses: list[float]) -> None:
    busy = Answer(status=503, body={"code": "unavailable"}, headers={"Retry-After": "7"})
    server = tokens_and(script(busy, busy, Answer(body={"id": "1"})))
    with client_of(server, pauses) as nexus:
        assert nexus.get("/groups/1") == {"id": "1"}
    server.close()
    assert pauses == [7.0, 7.0]


def test_a_server_that_stays_busy_is_given_up(pauses: list[float]) -> None:
    busy = Answer(
        status=503,
        body={"code": "unavailable", "detail": "the disk is full"},
        headers={"Retry-After": "9999"},
    )
    server = tokens_and(script(*[busy] * 10))
    with client_of(server, pauses) as nexus, pytest.raises(NotReachable, match="the disk is full"):
        nexus.get("/groups")
    server.close()
    assert pauses == [30.0, 30.0, 30.0]


def test_a_post_whose_answer_got_lost_is_sent_again_under_the_same_key(pauses: list[float]) -> None:
    server = tokens_and(script(None, Answer(status=201, body={"id": "1"})))
    with client_of(server, pauses) as nexus:
        assert nexus.post("/groups", {"slug": "core"}) == {"id": "1"}
    posts = [request for request in server.requests if request.path == "/groups"]
    server.close()
    assert len(posts) == 2
    assert len({request.headers["Idempotency-Key"] for request in posts}) == 1
    assert [json.loads(request.body) for request in posts] == [{"slug": "core"}] * 2


def test_two_commands_have_two_keys() -> None:
    server = tokens_and(script(Answer(body={}), Answer(body={})))
    with client_of(server) as nexus:
        nexus.post("/groups", {})
        nexus.post("/groups", {})
    first, second = (request for request in server.requests if request.path == "/groups")
    server.close()
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]


def test_an_expired_token_is_renewed_within_the_command() -> None:
    expired = Answer(status=401, body={"code": "token_expired", "detail": "expired"})
    server = tokens_and(script(expired, Answer(body={"id": "1"})))
    with client_of(server) as nexus:
        assert nexus.get("/groups/1") == {"id": "1"}
    paths = [request.path for request in server.requests]
    server.close()
    assert paths == ["/auth/token", "/groups/1", "/auth/token", "/groups/1"]


def test_a_token_is_asked_for_once_while_it_is_good() -> None:
    server = tokens_and(script(*[Answer(body={})] * 3))
    with client_of(server) as nexus:
        for _ in range(3):
            nexus.get("/groups/1")
    paths = [request.path for request in server.requests]
    server.close()
    assert paths.count("/auth/token") == 1


def test_nobody_listening_is_said_at_once(pauses: list[float]) -> None:
    with peer(lambda _: None) as server:
        url = server.url
    nobody = Client(open_http(url), CREDENTIALS, sleep=pauses.append)
    with nobody as nexus, pytest.raises(NotReachable, match="nexus serve"):
        nexus.get("/groups")
    assert pauses == []


def test_a_server_that_always_cuts_the_line_is_given_up(pauses: list[float]) -> None:
    with (
        peer(lambda _: None) as server,
        client_of(server, pauses) as nexus,
        pytest.raises(NotReachable),
    ):
        nexus.get("/groups")
    assert len(pauses) == 3


def test_a_list_is_read_page_by_page_up_to_the_limit() -> None:
    pages = script(
        Answer(body={"items": [{"n": n} for n in range(200)], "nextCursor": "c 1"}),
        Answer(body={"items": [{"n": n} for n in range(200, 250)], "nextCursor": "c 2"}),
    )
    server = tokens_and(pages)
    with client_of(server) as nexus:
        found = nexus.listing("/groups", limit=250)
    paths = [request.path for request in server.requests[1:]]
    server.close()
    assert [item["n"] for item in found.items] == list(range(250))
    assert found.has_more
    assert paths == ["/groups?limit=200", "/groups?limit=50&cursor=c+1"]


@pytest.mark.parametrize(
    "body", [b"<html>", {"token": "t"}, [], {"access_token": "t", "expires_in": []}]
)
def test_a_server_that_is_no_nexus_is_recognised_at_the_first_request(body: object) -> None:
    with (
        peer(lambda _: Answer(body=body)) as server,
        client_of(server) as nexus,
        pytest.raises(BadUsage, match="check --url"),
    ):
        nexus.get("/groups")


def test_what_is_sent_must_be_utf8() -> None:
    with (
        peer(lambda _: TOKEN) as server,
        client_of(server) as nexus,
        pytest.raises(BadUsage, match="UTF-8"),
    ):
        nexus.post("/groups", {"name": "\udcff"})


def test_a_failing_server_is_not_asked_again(pauses: list[float]) -> None:
    problem = Answer(status=500, body={"code": "internal", "detail": "it broke"})
    server = tokens_and(script(problem))
    with client_of(server, pauses) as nexus, pytest.raises(Failed, match="it broke"):
        nexus.get("/groups")
    server.close()
    assert pauses == []


def test_credentials_travel_as_a_form_whatever_characters_they_have() -> None:
    server = tokens_and(script(Answer(body={})))
    with client_of(server) as nexus:
        nexus.get("/groups")
    body = server.requests[0].body
    server.close()
    assert body == b"grant_type=client_credentials&client_id=admin&client_secret=s%26cret%3D1"
