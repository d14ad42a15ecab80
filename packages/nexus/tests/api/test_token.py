"""Clients prove who they are and get access tokens."""

import base64
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fake_time import FakeTime
from live_nexus import ADMIN_SECRET, AGENT_SECRET, Admin, LiveNexus, live_nexus
from nexus.services.secrets import hash_secret, make_secret, matches
from nexus.store import Tx
from nexus.store.schema import agents, clients
from oblivion.protocol import ApprovalStatus

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRANT = {"grant_type": "client_credentials"}
IDS = {"client_id": "admin", "client_secret": ADMIN_SECRET}


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


async def ask(nexus: LiveNexus, **request: Any) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        return await http.post("/auth/token", **request)


@pytest.mark.parametrize(
    "form",
    [
        pytest.param({"data": GRANT | IDS}, id="form"),
        pytest.param({"json": IDS}, id="JSON without a grant type"),
        pytest.param({"json": IDS | GRANT}, id="JSON with a grant type"),
        pytest.param({"data": GRANT, "headers": basic("admin", ADMIN_SECRET)}, id="Basic"),
        pytest.param(
            {"data": GRANT, "headers": basic("%61dmin", ADMIN_SECRET.replace("-", "%2D"))},
            id="Basic with both parts encoded as RFC 6749 says",
        ),
        pytest.param(
            {"data": GRANT | IDS, "headers": basic("admin", ADMIN_SECRET)},
            id="Basic and the same in the body",
        ),
        pytest.param(
            {"json": IDS, "headers": {"Authorization": "Bearer old"}}, id="beside an old token"
        ),
    ],
)
async def test_a_token_is_had_in_every_form_that_clients_use(
    nexus: LiveNexus, form: dict[str, Any]
) -> None:
    answer = await ask(nexus, **form)

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    token = answer.json()
    assert token.pop("access_token").count(".") == 2
    assert token == {"token_type": "Bearer", "expires_in": 900, "scope": "admin"}


async def test_a_secret_with_signs_works_with_basic_encoded_or_not(nexus: LiveNexus) -> None:
    secret = "p+ss w%20rd:ü"
    await nexus.admin.post("/observer/agents", name="Signs", clientId="signs", clientSecret=secret)

    plain = await ask(nexus, data=GRANT, headers=basic("signs", secret))
    encoded = await ask(nexus, data=GRANT, headers=basic("signs", "p%2Bss+w%2520rd%3A%C3%BC"))

    assert (plain.status_code, encoded.status_code) == (200, 200)


async def test_an_unknown_client_and_a_wrong_secret_get_one_and_the_same_answer(
    nexus: LiveNexus,
) -> None:
    wrong = await ask(nexus, data={**GRANT, **IDS, "client_secret": "wrong"})
    unknown = await ask(nexus, data={**GRANT, **IDS, "client_id": "nobody"})

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["error"] == "invalid_client"
    assert wrong.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    "secret",
    [pytest.param("a word", id="chosen by a person"), pytest.param(make_secret(), id="made")],
)
async def test_no_secret_is_that_of_a_client_that_does_not_exist(secret: str) -> None:
    chosen, made = (hash_secret(other, b"pepper") for other in ("another one", make_secret()))
    right = hash_secret(secret, b"pepper")
    for stored in ((), (chosen,), (made,), (made, chosen)):
        assert not matches(secret, stored, b"pepper")
    for stored in ((right,), (made, right)):
        assert matches(secret, stored, b"pepper")


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        pytest.param({"data": IDS}, "invalid_request", id="no grant type"),
        pytest.param(
            {"data": IDS | {"grant_type": "password"}}, "unsupported_grant_type", id="other grant"
        ),
        pytest.param(
            {"json": IDS | {"grant_type": 7}}, "unsupported_grant_type", id="a number as grant"
        ),
        pytest.param({"data": GRANT}, "invalid_request", id="nothing that proves anything"),
        pytest.param({"data": GRANT | {"client_id": "admin"}}, "invalid_request", id="no secret"),
        pytest.param({"content": b""}, "invalid_request", id="no body"),
        pytest.param(
            {"data": GRANT | IDS | {"client_id": ["admin", "admin"]}},
            "invalid_request",
            id="a parameter twice",
        ),
        pytest.param(
            {"data": GRANT | {"client_id": "other"}, "headers": basic("admin", ADMIN_SECRET)},
            "invalid_request",
            id="the header and the body name different clients",
        ),
        pytest.param({"json": [IDS]}, "invalid_request", id="a JSON array"),
        pytest.param({"json": IDS | {"client_id": 7}}, "invalid_request", id="a number as id"),
        pytest.param(
            {"content": b"{", "headers": {"Content-Type": "application/json"}},
            "invalid_request",
            id="broken JSON",
        ),
        pytest.param(
            {
                "content": b"grant_type=%ff",
                "headers": {"Content-Type": "application/x-www-form-urlencoded"},
            },
            "invalid_request",
            id="a form that is not UTF-8",
        ),
        pytest.param({"files": {"a": b"b"}}, "invalid_request", id="multipart"),
    ],
)
async def test_a_request_that_cannot_be_read_is_refused_in_the_words_of_oauth(
    nexus: LiveNexus, request_: dict[str, Any], error: str
) -> None:
    answer = await ask(nexus, **request_)

    assert answer.status_code == 400
    assert answer.json()["error"] == error
    assert answer.json()["error_description"]
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Basic YWRtaW4=", "Basic /zr/", "Basic Og=="]
)
async def test_an_authorization_header_that_is_no_basic_proves_nothing(
    nexus: LiveNexus, header: str
) -> None:
    answer = await ask(nexus, data=GRANT, headers={"Authorization": header})

    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"


async def test_a_huge_token_request_is_refused_unread(nexus: LiveNexus) -> None:
    answer = await ask(nexus, content=b"x" * 10_000_000)

    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("values", "code", "told"),
    [
        ({"approval_status": ApprovalStatus.PENDING}, "agent_pending", "approval"),
        (
            {"approval_status": ApprovalStatus.REJECTED, "rejection_reason": "not needed"},
            "agent_rejected",
            "not needed",
        ),
        ({"disabled_at": 1}, "agent_disabled", "disabled"),
    ],
)
async def test_an_agent_that_may_not_come_in_is_told_why_if_it_knows_its_secret(
    nexus: LiveNexus, agent: Admin, values: dict[str, Any], code: str, told: str
) -> None:
    agent_id = agent.http.headers["X-Agent-Id"]

    def change(tx: Tx) -> str:
        tx.change(agents.update().where(agents.c.id == agent_id).values(values))
        found = tx.one(clients.select().where(clients.c.agent_id == agent_id))
        assert found is not None
        return str(found["client_id"])

    client_id = await nexus.serving.nexus.platform.store.write(change)

    right = await ask(nexus, json={"client_id": client_id, "client_secret": AGENT_SECRET})
    wrong = await ask(nexus, json={"client_id": client_id, "client_secret": "wrong"})
    with_older_token = await agent.http.get("/tasks/available")

    assert (right.status_code, wrong.status_code) == (401, 401)
    assert (right.json()["error"], right.json()["code"]) == ("invalid_client", code)
    assert told in right.json()["error_description"]
    assert wrong.json()["error_description"] == "unknown client or wrong secret"
    assert "code" not in wrong.json()
    assert with_older_token.status_code == 401
    assert told in with_older_token.json()["detail"]


async def test_an_expired_token_is_refused_with_a_code_of_its_own(tmp_path: Path) -> None:
    time = FakeTime()
    async with live_nexus(tmp_path / "data", clock=time) as nexus:
        time.advance(seconds=901)

        answer = await nexus.admin.http.get("/groups")

    assert answer.status_code == 401
    assert answer.json()["code"] == "token_expired"
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer x", "Bearer a.b.c", "Basic YTpi"])
async def test_a_request_without_a_good_token_is_told_how_to_authenticate(
    nexus: LiveNexus, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with httpx2.AsyncClient(base_url=nexus.url, headers=headers) as http:
        answer = await http.get("/groups")

    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthorized"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


async def test_the_metadata_names_the_token_endpoint(nexus: LiveNexus) -> None:
    metadata = await nexus.admin.get("/.well-known/oauth-authorization-server")

    assert metadata["token_endpoint"] == nexus.url + "/auth/token"
    assert metadata["grant_types_supported"] == ["client_credentials"]
