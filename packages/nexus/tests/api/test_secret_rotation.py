"""An agent's secret is replaced without a gap, or at once; the new one is shown once."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from doors import at_the_socket, over_http
from fake_time import FakeTime
from live_nexus import AGENT_SECRET, LiveNexus, live_nexus
from nexus.services.secrets import is_made
from socket_agent import socket_agent, token_for

CHOSEN = "correct horse battery"


@pytest.fixture
async def nexus(tmp_path: Path, time: FakeTime) -> AsyncIterator[LiveNexus]:
    async with live_nexus(tmp_path / "data", clock=time) as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("one")
        await nexus.admin.post(
            "/observer/agents", name="Chosen", clientId="chosen", clientSecret=CHOSEN
        )
        yield nexus


async def rotate(nexus: LiveNexus, client_id: str, **wish: Any) -> str:
    made = await nexus.admin.post(f"/observer/agents/{client_id}/rotate-secret", **wish)
    assert is_made(made["clientSecret"])
    secret: str = made["clientSecret"]
    return secret


async def is_good(nexus: LiveNexus, client_id: str, secret: str) -> bool:
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        wish = {"client_id": client_id, "client_secret": secret}
        return (await http.post("/auth/token", json=wish)).is_success


@pytest.mark.parametrize(("client_id", "old"), [("one", AGENT_SECRET), ("chosen", CHOSEN)])
async def test_both_secrets_are_good_until_the_overlap_is_over(
    nexus: LiveNexus, time: FakeTime, client_id: str, old: str
) -> None:
    new = await rotate(nexus, client_id, overlapSeconds=600)

    time.advance(seconds=599)
    assert await is_good(nexus, client_id, new)
    assert await is_good(nexus, client_id, old)
    time.advance(seconds=1)
    assert await is_good(nexus, client_id, new)
    assert not await is_good(nexus, client_id, old)


async def test_the_overlap_is_a_day_where_nobody_says_otherwise(
    nexus: LiveNexus, time: FakeTime
) -> None:
    await rotate(nexus, "one")
    time.advance(seconds=24 * 3600 - 1)
    assert await is_good(nexus, "one", AGENT_SECRET)
    time.advance(seconds=1)
    assert not await is_good(nexus, "one", AGENT_SECRET)


async def test_a_second_rotation_ends_the_first_secret(nexus: LiveNexus) -> None:
    second = await rotate(nexus, "one")
    third = await rotate(nexus, "one")
    assert not await is_good(nexus, "one", AGENT_SECRET)
    assert await is_good(nexus, "one", second)
    assert await is_good(nexus, "one", third)


async def test_a_rotation_with_an_overlap_leaves_tokens_and_session_alone(
    nexus: LiveNexus,
) -> None:
    token = await token_for(nexus.url, "one", AGENT_SECRET)
    async with socket_agent(nexus.url, token) as agent:
        await agent.ready()
        await rotate(nexus, "one", overlapSeconds=60)
        beat = await agent.call("heartbeat", {"ping": True, "active": []})
        assert beat["payload"]["pong"] is True
    assert await over_http(nexus, token) == "let in"


async def test_without_an_overlap_secret_tokens_and_session_end_at_once(nexus: LiveNexus) -> None:
    token = await token_for(nexus.url, "one", AGENT_SECRET)
    async with socket_agent(nexus.url, token) as agent:
        await agent.ready()
        new = await rotate(nexus, "one", overlapSeconds=0)
        await agent.until("disconnect")
    assert not await is_good(nexus, "one", AGENT_SECRET)
    assert await over_http(nexus, token) == "unauthorized"
    assert await at_the_socket(nexus, await token_for(nexus.url, "one", new)) == "let in"


async def test_a_rotation_sent_again_is_done_once_and_shows_no_secret(nexus: LiveNexus) -> None:
    http, key = nexus.admin.http, {"Idempotency-Key": "rotate-1"}
    path = "/observer/agents/one/rotate-secret"
    first = (await http.post(path, headers=key)).json()
    again = (await http.post(path, headers=key)).json()
    assert "clientSecret" not in again
    assert await is_good(nexus, "one", first["clientSecret"])
    assert await is_good(nexus, "one", AGENT_SECRET)


@pytest.mark.parametrize("wish", [{"overlapSeconds": -1}, {"overlapSeconds": 1e9}, {"x": 1}])
async def test_a_wish_that_makes_no_sense_is_refused_and_changes_nothing(
    nexus: LiveNexus, wish: dict[str, Any]
) -> None:
    answer = await nexus.admin.http.post("/observer/agents/one/rotate-secret", json=wish)
    assert answer.status_code == 422
    assert await is_good(nexus, "one", AGENT_SECRET)


async def test_an_agent_that_is_not_there_gets_no_secret(nexus: LiveNexus) -> None:
    answer = await nexus.admin.http.post("/observer/agents/nobody/rotate-secret")
    assert answer.status_code == 404
