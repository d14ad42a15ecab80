"""Who may connect, and what the others are told."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import socketio

from live_nexus import ADMIN_SECRET, AGENT_SECRET, LiveNexus, live_nexus
from nexus.domain.principal import Principal, Role
from socket_agent import SocketAgent, socket_agent, token_for


@pytest.fixture
async def nexus(tmp_path: Path) -> AsyncIterator[LiveNexus]:
    async with live_nexus(tmp_path / "data") as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("a")
        yield nexus


async def refusal(url: str, **connect: Any) -> dict[str, Any]:
    """Return the ``data`` of the ``connect_error`` that a refused connection gets."""
    errors: list[Any] = []
    client = socketio.AsyncClient(reconnection=False)
    client.on("connect_error", errors.append, namespace="/agents")
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(url, transports=["websocket"], namespaces=["/agents"], **connect)
    data: dict[str, Any] = errors[0]["data"]
    return data


async def test_a_connection_without_a_token_is_told_how_to_get_one(nexus: LiveNexus) -> None:
    error = await refusal(nexus.url)
    assert (error["code"], error["retryable"]) == ("unauthorized", False)
    assert "/auth/token" in error["message"]


@pytest.mark.parametrize("token", ["rubbish", "a.b.c", "", 7, None, {"x": 1}])
async def test_rubbish_for_a_token_is_refused(nexus: LiveNexus, token: object) -> None:
    error = await refusal(nexus.url, auth={"token": token})
    assert error["code"] == "unauthorized"


async def test_an_admin_is_told_that_only_agents_connect(nexus: LiveNexus) -> None:
    token = await token_for(nexus.url, "admin", ADMIN_SECRET)
    error = await refusal(nexus.url, auth={"token": token})
    assert error["code"] == "unauthorized"
    assert "only agents" in error["message"]


async def test_an_expired_token_is_named_as_such(nexus: LiveNexus) -> None:
    platform = nexus.serving.nexus.platform
    caller = Principal(tenant_id="t", client_id="a", role=Role.AGENT, agent_id="a")
    token = platform.tokens.issue(caller, platform.clock() - 3_600_000)
    error = await refusal(nexus.url, auth={"token": token})
    assert (error["code"], error["retryable"]) == ("token_expired", True)


@pytest.mark.parametrize(
    ("decision", "code"), [(None, "agent_pending"), ("reject", "agent_rejected")]
)
async def test_an_agent_that_is_not_approved_is_told_so(
    nexus: LiveNexus, decision: str | None, code: str
) -> None:
    """Nexus makes it no token; one that it has all the same counts for nothing."""
    invitation = await nexus.admin.post("/observer/registration-tokens", groupId="team")
    registered = await nexus.admin.post(
        "/auth/register", registrationToken=invitation["token"], name="New", clientId="new"
    )
    if decision is not None:
        await nexus.admin.post(f"/observer/agents/new/{decision}")
    platform = nexus.serving.nexus.platform
    caller = Principal(
        tenant_id="t", client_id="new", role=Role.AGENT, agent_id=registered["agentId"]
    )
    error = await refusal(
        nexus.url, auth={"token": platform.tokens.issue(caller, platform.clock())}
    )
    assert (error["code"], error["retryable"]) == (code, False)


async def test_a_token_in_the_query_is_accepted_for_older_clients(nexus: LiveNexus) -> None:
    token = await token_for(nexus.url, "a", AGENT_SECRET)
    client = socketio.AsyncClient(reconnection=False)
    agent = SocketAgent(client)
    address = f"{nexus.url}?token={token}"
    await client.connect(address, transports=["websocket"], namespaces=["/agents"])
    await agent.until("connected")
    await client.disconnect()


async def test_the_greeting_is_a_bare_object_with_all_its_fields(nexus: LiveNexus) -> None:
    token = await token_for(nexus.url, "a", AGENT_SECRET)
    async with socket_agent(nexus.url, token) as agent:
        (greeting,) = agent.named("connected")
        known = await nexus.admin.get("/observer/agents/a")
        assert greeting["agentId"] == known["id"]
        assert greeting["protocol"] == 1
        assert greeting["heartbeatIntervalMs"] == 30_000
        assert greeting.keys() >= {"message", "sessionId", "serverTime", "epoch"}
        assert "payload" not in greeting


async def test_who_comes_while_nexus_drains_is_told_to_come_back(nexus: LiveNexus) -> None:
    token = await token_for(nexus.url, "a", AGENT_SECRET)
    nexus.serving.nexus.delivery.draining = True
    error = await refusal(nexus.url, auth={"token": token})
    assert (error["code"], error["retryable"]) == ("server_draining", True)


async def test_another_namespace_is_refused(nexus: LiveNexus) -> None:
    client = socketio.AsyncClient(reconnection=False)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(nexus.url, transports=["websocket"], namespaces=["/other"])


async def test_polling_is_refused(nexus: LiveNexus) -> None:
    client = socketio.AsyncClient(reconnection=False)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(nexus.url, transports=["polling"], namespaces=["/agents"])
