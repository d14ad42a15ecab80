"""Two nodes on one database are one Nexus: an agent on the one is served by the other's news."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from eventually import eventually
from live_nexus import AGENT_SECRET, LiveNexus, live_nexus
from nexus.store import DataDirError
from postgres_proxy import postgres_proxy
from postgres_server import PostgresServer
from socket_agent import SocketAgent, socket_agent, token_for
from two_nodes import two_nodes

Nodes = tuple[LiveNexus, LiveNexus]


@pytest.fixture
async def nodes(tmp_path: Path, postgres_url: str) -> AsyncIterator[Nodes]:
    async with two_nodes(tmp_path, postgres_url) as (a, b):
        await a.admin.team()
        await a.admin.project("race", group="team", policy="claim")
        for name in ("one", "two"):
            await a.admin.agent(name)
        yield a, b


async def token(node: LiveNexus, name: str) -> str:
    return await token_for(node.url, name, AGENT_SECRET)


def seqs(agent: SocketAgent) -> list[int]:
    return [message["seq"] for _, message in agent.events if message and "seq" in message]


async def test_a_task_posted_on_one_node_reaches_the_agent_on_the_other(nodes: Nodes) -> None:
    a, b = nodes
    async with socket_agent(a.url, await token(b, "one")) as agent:
        await agent.ready()
        task = await b.admin.task("From afar")
        payload = await agent.until("task_assigned")
        assert payload["taskId"] == task["id"]
        await b.admin.say(task["id"], "a word from the other node")
        assert (await agent.until("context_update"))["content"] == "a word from the other node"
        done = {"taskId": task["id"], "attempt": 1, "status": "DONE"}
        assert (await agent.call("task_update", done))["task"]["status"] == "DONE"
        assert (await b.admin.get(f"/tasks/{task['id']}"))["status"] == "DONE"
        assert seqs(agent) == [1, 2]


async def test_of_two_claims_on_two_nodes_one_wins(nodes: Nodes) -> None:
    a, b = nodes
    async with (
        socket_agent(a.url, await token(a, "one")) as first,
        socket_agent(b.url, await token(b, "two")) as second,
    ):
        for agent in (first, second):
            await agent.ready(maxConcurrency=100)
        tasks = [await a.admin.task(f"T{number}", project="race") for number in range(20)]
        answers = await asyncio.gather(
            *(
                agent.call("claim_task", {"taskId": task["id"]})
                for task in tasks
                for agent in (first, second)
            )
        )
        won = [answer["taskId"] for answer in answers if answer["success"]]
        assert sorted(won) == sorted(task["id"] for task in tasks)
        assert {answer["attempt"] for answer in answers if answer["success"]} == {1}


async def test_each_task_is_leased_once_though_both_nodes_have_agents(nodes: Nodes) -> None:
    a, b = nodes
    async with (
        socket_agent(a.url, await token(a, "one")) as first,
        socket_agent(b.url, await token(b, "two")) as second,
    ):
        await first.ready(maxConcurrency=50)
        await second.ready(maxConcurrency=50)
        nodes_in_turn = [a, b] * 15
        made = await asyncio.gather(*(node.admin.task() for node in nodes_in_turn))
        got: list[str] = []

        async def all_out() -> bool:
            got[:] = [
                message["payload"]["taskId"]
                for agent in (first, second)
                for message in agent.named("task_assigned")
            ]
            return len(got) >= len(made)

        await eventually(all_out, what="every task is leased")
        assert sorted(got) == sorted(task["id"] for task in made)
        for agent in (first, second):
            assert seqs(agent) == list(range(1, len(seqs(agent)) + 1))


async def test_an_agent_that_moves_keeps_its_lease_and_its_old_session_is_told(
    nodes: Nodes,
) -> None:
    a, b = nodes
    access = await token(a, "one")
    async with socket_agent(a.url, access) as before:
        await before.ready(instanceId="p")
        task = await a.admin.task()
        await before.until("task_assigned")
        async with socket_agent(b.url, access) as after:
            superseded = await before.until("superseded")
            assert superseded["sessionId"] == (await after.until("connected"))["sessionId"]
            active = [{"taskId": task["id"], "attempt": 1}]
            assert (await after.ready(instanceId="p", active=active))["lost"] == []
            assert (await after.until("task_assigned"))["attempt"] == 1
            done = {"taskId": task["id"], "attempt": 1, "status": "DONE"}
            assert (await after.call("task_update", done))["task"]["status"] == "DONE"


async def test_a_node_that_starts_leaves_the_other_nodes_agents_alone(
    nodes: Nodes, tmp_path: Path, postgres_url: str
) -> None:
    a, _ = nodes
    async with socket_agent(a.url, await token(a, "one")) as agent:
        await agent.ready()
        async with live_nexus(tmp_path / "b", database_url=postgres_url) as third:
            found = await third.admin.get("/observer/agents/one")
            assert found["isConnected"] is True
            task = await third.admin.task()
            assert (await agent.until("task_assigned"))["taskId"] == task["id"]


async def test_a_node_with_other_keys_is_refused(
    nodes: Nodes, tmp_path: Path, postgres_url: str
) -> None:
    with pytest.raises(DataDirError, match=r"copy signing\.key and pepper\.key"):
        async with live_nexus(tmp_path / "stranger", database_url=postgres_url):
            pass


async def test_a_node_that_is_cut_off_lets_its_agents_go_to_another_with_their_leases(
    tmp_path: Path, postgres: PostgresServer, postgres_url: str
) -> None:
    async with postgres_proxy(postgres.port) as proxy:
        cut_off: dict[str, Any] = {"lease_seconds": 6.0, "heartbeat_seconds": 60}
        async with two_nodes(tmp_path, postgres_url, **cut_off) as (_, b):
            await b.admin.team()
            await b.admin.agent("one")
            folder = tmp_path / "a"
            async with live_nexus(folder, database_url=proxy.url(postgres_url), **cut_off) as c:
                access = await token(c, "one")
                async with socket_agent(c.url, access) as agent:
                    await agent.ready(instanceId="p")
                    task = await b.admin.task()
                    await agent.until("task_assigned")
                    await proxy.vanish()
                    await agent.until("disconnect")
                    async with socket_agent(b.url, access) as again:
                        active = [{"taskId": task["id"], "attempt": 1}]
                        ack = await again.ready(instanceId="p", active=active)
                        assert ack["lost"] == []
                proxy.appear()
