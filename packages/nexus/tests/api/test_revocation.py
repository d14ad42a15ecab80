"""A token that was revoked is void on the spot, and so is the session that it opened (RFC 7009)."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from doors import at_the_socket, over_http
from fake_time import FakeTime
from live_nexus import ADMIN_SECRET, AGENT_SECRET, Admin, LiveNexus, live_nexus
from nexus.audit_anchor import read_anchors
from nexus.services import retention
from nexus.services.revocations import MOST_A_CLIENT
from nexus.store import Tx
from nexus.store.schema import revoked_tokens
from socket_agent import socket_agent, token_for

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def revoke(
    nexus: LiveNexus, token: str, client_id: str, secret: str = AGENT_SECRET, **more: str
) -> httpx2.Response:
    form = {"token": token, **more}
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        return await http.post("/auth/revoke", data=form, auth=(client_id, secret))


async def agent_with_token(nexus: LiveNexus, client_id: str) -> str:
    await nexus.admin.agent(client_id)
    return await token_for(nexus.url, client_id, AGENT_SECRET)


async def test_a_revoked_token_is_refused_at_both_doors_and_others_are_not(
    nexus: LiveNexus,
) -> None:
    token = await agent_with_token(nexus, "leaky")
    other = await token_for(nexus.url, "leaky", AGENT_SECRET)
    assert await over_http(nexus, token) == "let in"

    answer = await revoke(nexus, token, "leaky", token_type_hint="access_token")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    assert await over_http(nexus, token) == "unauthorized"
    assert await at_the_socket(nexus, token) == "unauthorized"
    assert await over_http(nexus, other) == "let in"
    assert (await revoke(nexus, token, "leaky")).status_code == 200
    assert await over_http(nexus, other) == "let in"


async def test_revoking_the_token_of_a_live_session_ends_it(nexus: LiveNexus) -> None:
    token = await agent_with_token(nexus, "tapped")
    async with socket_agent(nexus.url, token) as agent:
        await agent.ready()

        await revoke(nexus, token, "tapped")

        await agent.until("disconnect")


async def test_revoking_another_token_leaves_the_session_alone(nexus: LiveNexus) -> None:
    token = await agent_with_token(nexus, "calm")
    unused = await token_for(nexus.url, "calm", AGENT_SECRET)
    async with socket_agent(nexus.url, token) as agent:
        await agent.ready()

        await revoke(nexus, unused, "calm")

        assert "pong" in (await agent.call("heartbeat", {"ping": True, "active": []}))["payload"]


@pytest.mark.parametrize("token", ["rubbish", "a.b.c", "x" * 5000])
async def test_what_is_no_token_is_as_void_as_it_can_be(nexus: LiveNexus, token: str) -> None:
    assert (await revoke(nexus, token, "admin", ADMIN_SECRET)).status_code == 200


async def test_the_credentials_may_come_as_json(nexus: LiveNexus) -> None:
    token = await agent_with_token(nexus, "modern")
    wish = {"client_id": "modern", "client_secret": AGENT_SECRET, "token": token}
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        assert (await http.post("/auth/revoke", json=wish)).status_code == 200
    assert await over_http(nexus, token) == "unauthorized"


async def test_who_does_not_prove_who_it_is_revokes_nothing(nexus: LiveNexus) -> None:
    token = await agent_with_token(nexus, "sturdy")

    answer = await revoke(nexus, token, "sturdy", "wrong")

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert await over_http(nexus, token) == "let in"


async def test_a_request_without_a_token_is_refused(nexus: LiveNexus) -> None:
    answer = await revoke(nexus, "", "admin", ADMIN_SECRET)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_another_agents_token_is_not_its_to_revoke_but_an_admins(nexus: LiveNexus) -> None:
    token = await agent_with_token(nexus, "mine")
    await nexus.admin.agent("thief")

    refused = await revoke(nexus, token, "thief")

    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    assert await over_http(nexus, token) == "let in"
    assert (await revoke(nexus, token, "admin", ADMIN_SECRET)).status_code == 200
    assert await over_http(nexus, token) == "unauthorized"


@pytest.mark.parametrize(
    ("client_id", "secret", "role"),
    [("frank", AGENT_SECRET, "agent"), ("admin", ADMIN_SECRET, "admin")],
)
async def test_who_made_whose_token_void_is_kept_once(
    nexus: LiveNexus, client_id: str, secret: str, role: str
) -> None:
    whose = await nexus.admin.agent("frank" if role == "agent" else "frida")
    token = await token_for(nexus.url, whose["clientId"], AGENT_SECRET)
    for _ in range(2):
        assert (await revoke(nexus, token, client_id, secret)).status_code == 200

    wanted = {"action": "revoke_token", "target": whose["id"]}
    (entry,) = (await nexus.admin.get("/observer/audit", **wanted))["items"]

    assert (entry["actor"], entry["role"], entry["address"]) == (client_id, role, "127.0.0.1")
    assert entry["details"]["clientId"] == whose["clientId"]
    assert token not in str(entry)


async def test_what_makes_no_token_void_is_not_kept(nexus: LiveNexus, stranger: Admin) -> None:
    token = await agent_with_token(nexus, "still-good")
    wanted = {"action": "revoke_token", "limit": 1}
    before = await nexus.admin.get("/observer/audit", **wanted)

    assert (await revoke(nexus, "rubbish", "admin", ADMIN_SECRET)).status_code == 200
    assert (await revoke(nexus, token, "stranger", ADMIN_SECRET)).status_code == 400
    assert (await revoke(nexus, token, "still-good", "wrong")).status_code == 401

    assert await nexus.admin.get("/observer/audit", **wanted) == before
    assert (await stranger.get("/observer/audit", **wanted))["items"] == []


async def test_an_admin_of_another_tenant_revokes_nothing(
    nexus: LiveNexus, stranger: Admin
) -> None:
    token = await agent_with_token(nexus, "far")

    answer = await revoke(nexus, token, "stranger", ADMIN_SECRET)

    assert answer.json()["error"] == "unauthorized_client"
    assert await over_http(nexus, token) == "let in"


async def test_a_revocation_outlives_a_restart(tmp_path: Path) -> None:
    async with live_nexus(tmp_path / "data") as nexus:
        await nexus.admin.team()
        token = await agent_with_token(nexus, "stays-void")
        await revoke(nexus, token, "stays-void")
        (newest,) = (await nexus.admin.get("/observer/audit", limit=1))["items"]
        (anchor,) = read_anchors(tmp_path / "data").values()
        assert (newest["action"], newest["seq"]) == ("revoke_token", anchor.seq)
    async with live_nexus(tmp_path / "data") as nexus:
        assert await over_http(nexus, token) == "unauthorized"


async def test_revocations_are_kept_no_longer_than_their_tokens_would_have_lived(
    tmp_path: Path,
) -> None:
    time = FakeTime()
    async with live_nexus(tmp_path / "data", clock=time) as nexus:
        await nexus.admin.team()
        token = await agent_with_token(nexus, "brief")
        await revoke(nexus, token, "brief")
        store = nexus.serving.nexus.platform.store
        time.advance(seconds=899)
        await store.write(retention.prune)
        assert await store.read(count, "brief") == 1
        time.advance(seconds=2)
        await store.write(retention.prune)
        assert await store.read(count, "brief") == 0
        assert await over_http(nexus, token) == "token_expired"


async def test_a_client_that_revokes_without_end_loses_all_its_tokens_at_once(
    nexus: LiveNexus,
) -> None:
    first = await agent_with_token(nexus, "restless")
    store = nexus.serving.nexus.platform.store

    for _ in range(MOST_A_CLIENT):
        await revoke(nexus, await token_for(nexus.url, "restless", AGENT_SECRET), "restless")
    assert await store.read(count, "restless") == MOST_A_CLIENT
    assert await over_http(nexus, first) == "let in"
    one_more = await token_for(nexus.url, "restless", AGENT_SECRET)
    await revoke(nexus, one_more, "restless")

    assert await store.read(count, "restless") == 0
    for void in (first, one_more):
        assert await over_http(nexus, void) == "unauthorized"
    assert await over_http(nexus, await token_for(nexus.url, "restless", AGENT_SECRET)) == "let in"


def count(tx: Tx, client_id: str) -> int:
    return len(tx.rows(revoked_tokens.select().where(revoked_tokens.c.client_id == client_id)))


async def test_logging_an_agent_out_voids_all_its_tokens_and_ends_its_session(
    nexus: LiveNexus,
) -> None:
    tokens = [await agent_with_token(nexus, "everywhere")]
    tokens.append(await token_for(nexus.url, "everywhere", AGENT_SECRET))
    async with socket_agent(nexus.url, tokens[0]) as agent:
        await agent.ready()

        shown: dict[str, Any] = await nexus.admin.post("/observer/agents/everywhere/logout")

        await agent.until("disconnect")
    assert shown["isConnected"] is False
    for token in tokens:
        assert await over_http(nexus, token) == "unauthorized"
    fresh = await token_for(nexus.url, "everywhere", AGENT_SECRET)
    assert await at_the_socket(nexus, fresh) == "let in"
