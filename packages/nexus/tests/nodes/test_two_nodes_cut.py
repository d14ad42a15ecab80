"""What an admin cuts off on one node is cut off on the other: sessions, tokens, secrets, all."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest

from doors import at_the_socket, over_http
from eventually import eventually
from live_nexus import AGENT_SECRET, LiveNexus, live_nexus
from nexus.keys import load_signing_keys, write_signing_keys
from nexus.services.signing import KEY_BYTES, Keyring
from nexus.store import DataDirError
from nexus.store.clock import wall_clock
from socket_agent import SocketAgent, socket_agent, token_for
from two_nodes import two_nodes

Nodes = tuple[LiveNexus, LiveNexus]
CUT_WITHIN_S = 2.0


@pytest.fixture
async def nodes(tmp_path: Path, postgres_url: str) -> AsyncIterator[Nodes]:
    async with two_nodes(tmp_path, postgres_url) as (a, b):
        await a.admin.team()
        for name in ("one", "two"):
            await a.admin.agent(name)
        yield a, b


async def token(node: LiveNexus, name: str) -> str:
    return await token_for(node.url, name, AGENT_SECRET)


async def cut_within_time(agent: SocketAgent, act: Awaitable[Any]) -> None:
    await act
    began = time.monotonic()
    await agent.until("disconnect")
    assert time.monotonic() - began < CUT_WITHIN_S


async def test_a_ban_on_one_node_cuts_the_agent_off_on_the_other(nodes: Nodes) -> None:
    a, b = nodes
    kept = await token(a, "one")
    async with (
        socket_agent(a.url, kept) as one,
        socket_agent(b.url, await token(b, "two")) as two,
    ):
        await one.ready()
        await a.admin.task()
        await one.until("task_assigned")
        await two.ready()

        await cut_within_time(one, b.admin.post("/observer/agents/one/ban"))

        assert (await one.until("task_cancelled"))["reason"] == "stopped"
        assert (await two.until("task_assigned"))["attempt"] == 2
    for node in nodes:
        assert await at_the_socket(node, kept) == "agent_disabled"
        assert await over_http(node, kept) == "agent_disabled"


async def test_the_kill_switch_on_one_node_stops_the_other(nodes: Nodes) -> None:
    a, b = nodes
    kept = await token(a, "one")
    async with socket_agent(a.url, kept) as one:
        await one.ready()
        task = await a.admin.task()
        await one.until("task_assigned")

        await cut_within_time(one, b.admin.post("/observer/stop-all"))

        assert (await one.until("task_cancelled"))["taskId"] == task["id"]
    for node in nodes:
        assert await at_the_socket(node, kept) == "agents_stopped"
        assert (await node.admin.get("/observer/stop-all"))["stopped"] is True
    await a.admin.post("/observer/resume-all")
    async with socket_agent(b.url, kept) as one:
        await one.ready()
        assert (await one.until("task_assigned", count=2))["attempt"] == 2


async def test_agents_that_come_in_while_all_are_stopped_get_nothing(nodes: Nodes) -> None:
    """Whichever of the two is first, no session and no lease is left over."""
    a, b = nodes
    kept = await token(a, "one")
    for _ in range(3):
        task = await a.admin.task()

        async def come_in() -> None:
            async with socket_agent(a.url, kept) as one:
                await one.ready()
                await one.until("disconnect")

        coming = asyncio.create_task(come_in())
        await b.admin.post("/observer/stop-all")
        await asyncio.wait([coming])
        coming.exception()  # it may have been refused, or cut off

        async def is_gone() -> bool:
            return not (await b.admin.get("/observer/agents/one"))["isConnected"]

        await eventually(is_gone, what="no session is left")
        await b.admin.until(task["id"], "TODO")
        await b.admin.post("/observer/resume-all")


async def test_a_token_revoked_on_one_node_is_void_on_the_other(nodes: Nodes) -> None:
    a, b = nodes
    kept = await token(a, "one")
    assert await over_http(a, kept) == "let in"
    async with socket_agent(a.url, kept) as one, httpx2.AsyncClient(base_url=b.url) as http:
        await one.ready()
        form = {"token": kept}
        revoking = http.post("/auth/revoke", data=form, auth=("one", AGENT_SECRET))

        await cut_within_time(one, revoking)

    for node in nodes:
        assert await over_http(node, kept) == "unauthorized"
        assert await at_the_socket(node, kept) == "unauthorized"


async def test_a_secret_rotated_on_one_node_is_the_secret_on_the_other(nodes: Nodes) -> None:
    a, b = nodes
    kept = await token(a, "one")
    new = await b.admin.post("/observer/agents/one/rotate-secret", overlapSeconds=0)

    assert await over_http(a, kept) == "unauthorized"
    fresh = await token_for(a.url, "one", new["clientSecret"])
    assert await at_the_socket(b, fresh) == "let in"
    with pytest.raises(httpx2.HTTPStatusError):
        await token(a, "one")


async def test_a_key_that_waits_is_rotated_over_two_nodes_without_a_refusal(
    nodes: Nodes, tmp_path: Path
) -> None:
    """As the docs say: a key for later, copied to the other node before its time."""
    a, _ = nodes
    now = wall_clock()
    ring = load_signing_keys(tmp_path / "a").rotated(
        secrets.token_bytes(KEY_BYTES), now_ms=now, since_ms=now + 3_000, lifetime_ms=900_000
    )
    for folder in ("a", "b"):
        write_signing_keys(tmp_path / folder, ring)
    while True:
        fresh = await token(a, "one")
        for node in nodes:
            assert await over_http(node, fresh) == "let in"
        if jwt.get_unverified_header(fresh)["kid"] == ring.keys[0].id:
            break
        await asyncio.sleep(0.1)


async def test_a_node_without_the_newest_key_does_not_start(
    tmp_path: Path, postgres_url: str
) -> None:
    async with two_nodes(tmp_path, postgres_url):
        pass
    ring = Keyring.of(secrets.token_bytes(KEY_BYTES))
    write_signing_keys(
        tmp_path / "a", Keyring((*ring.keys, *load_signing_keys(tmp_path / "a").keys))
    )
    async with live_nexus(tmp_path / "a", database_url=postgres_url):
        pass
    with pytest.raises(DataDirError, match=r"copy signing\.key"):
        async with live_nexus(tmp_path / "b", database_url=postgres_url):
            pass
