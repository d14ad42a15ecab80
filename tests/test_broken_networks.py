"""Real agents and a real Nexus on a network that cuts, delays, half closes, tears and swallows.

Whatever it does, nothing is lost and no handler runs twice.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cutting_proxy import CuttingProxy, Side, cutting_proxy
from eventually import eventually
from live_nexus import AGENT_SECRET, LiveNexus, live_nexus
from oblivion import (
    ConnectionLost,
    ContextUpdatePayload,
    NexusUnreachable,
    OblivionClient,
    TaskAssignedPayload,
    Timeouts,
)

DEADLINE_S = 40.0
BRIEF = Timeouts(ack=1, close=1)
IMPATIENT = Timeouts(ack=1, connect=2, request=2, close=1)
ANSWER = b"43/agents,"
"""How an answer to a call begins on the wire."""
SECOND_ACK = b"2]}"
"""How the acknowledgement of an agent's second event, after that of its task, ends its numbers."""


@dataclass(kw_only=True)
class Talk:
    """An agent behind a proxy: it begins a task and says a word in it once it may."""

    nexus: LiveNexus
    proxy: CuttingProxy
    client: OblivionClient
    task_id: str
    speak: asyncio.Event
    runs: Counter[str]
    heard: list[str]
    connections: int

    async def comes_back(self) -> None:
        """Wait until the agent has connected anew."""

        async def is_back() -> bool:
            return self.proxy.connections > self.connections and self.client.connected

        await eventually(is_back, what="the agent is back")

    async def prove(self) -> None:
        """Have the task done and another one, and show that nothing happened twice."""
        done = await self.nexus.admin.until(self.task_id, "DONE")
        another = await self.nexus.admin.task()
        await self.nexus.admin.until(another["id"], "DONE")
        thread = await self.nexus.admin.get(f"/tasks/{self.task_id}/slack-thread")
        assert [said["text"] for said in thread["messages"] if not said["isHuman"]] == ["said once"]
        assert done["attempt"] == 1
        assert self.runs == {self.task_id: 1, another["id"]: 1}


def agent_of(proxy: CuttingProxy, timeouts: Timeouts, delay: float = 0.2) -> OblivionClient:
    """Return a client that comes back after ``delay`` seconds."""
    return OblivionClient(
        proxy.url, "my-agent", AGENT_SECRET, reconnect_delay=delay, timeouts=timeouts
    )


@contextlib.asynccontextmanager
async def connected(client: OblivionClient) -> AsyncIterator[None]:
    """Connect, however often a busy machine is too slow for the client, and disconnect."""
    while not client.connected:
        with contextlib.suppress(NexusUnreachable, ConnectionLost):
            await client.connect()
    try:
        yield
    finally:
        await client.disconnect()


@contextlib.asynccontextmanager
async def talk(folder: Path, *, timeouts: Timeouts = BRIEF, **options: Any) -> AsyncIterator[Talk]:
    """Have an agent begin a task, and say a word in it once it may."""
    started, speak = asyncio.Event(), asyncio.Event()
    runs: Counter[str] = Counter()
    heard: list[str] = []
    async with live_nexus(folder, **options) as nexus, cutting_proxy(nexus.url) as proxy:
        await nexus.admin.team()
        await nexus.admin.agent("my-agent")
        client = agent_of(proxy, timeouts)

        @client.on_task_assigned
        async def work(payload: TaskAssignedPayload) -> None:
            runs[payload.task_id] += 1
            started.set()
            await speak.wait()
            if runs.total() == 1:
                await client.post_message(payload.task_id, "said once")

        @client.on_context_update
        async def listen(payload: ContextUpdatePayload) -> None:
            heard.append(payload.content)

        async with asyncio.timeout(DEADLINE_S), connected(client):
            task = await nexus.admin.task()
            await started.wait()
            yield Talk(
                nexus=nexus,
                proxy=proxy,
                client=client,
                task_id=task["id"],
                speak=speak,
                runs=runs,
                heard=heard,
                connections=proxy.connections,
            )


BREAKS: dict[str, Callable[[CuttingProxy], None]] = {
    "silent": lambda proxy: proxy.cut(),
    "silent to the agent": lambda proxy: proxy.cut("agent"),
    "silent to Nexus": lambda proxy: proxy.cut("nexus"),
    "closed for the agent alone": lambda proxy: proxy.hang_up_on("agent"),
    "closed for Nexus alone": lambda proxy: proxy.hang_up_on("nexus"),
    "half closed to the agent": lambda proxy: proxy.half_close("agent"),
    "half closed to Nexus": lambda proxy: proxy.half_close("nexus"),
    "aborted": lambda proxy: proxy.abort(),
    "torn in a frame to the agent": lambda proxy: proxy.tear("agent"),
    "torn in a frame to Nexus": lambda proxy: proxy.tear("nexus"),
    "without answers": lambda proxy: proxy.lose("agent", ANSWER),
}


@pytest.mark.parametrize("how", BREAKS)
async def test_a_connection_that_breaks_while_a_handler_runs_costs_nothing(
    tmp_path: Path, how: str
) -> None:
    async with talk(tmp_path / "data") as agent:
        BREAKS[how](agent.proxy)
        agent.speak.set()
        await agent.comes_back()
        await agent.prove()


async def test_an_agent_that_has_nothing_to_say_notices_the_silence_by_its_heartbeat(
    tmp_path: Path,
) -> None:
    async with talk(tmp_path / "data", heartbeat_seconds=0.4) as agent:
        agent.proxy.cut()
        await agent.comes_back()
        agent.speak.set()
        await agent.prove()


@pytest.mark.parametrize(
    ("to", "patience"),
    [("nexus", 60.0), ("nexus", 0.5), ("agent", 0.5)],
    ids=["a call, waited for", "a call, given up", "an answer, given up"],
)
async def test_what_the_network_delays_happens_once(
    tmp_path: Path, to: Side, patience: float
) -> None:
    """Given up, it is said again over a new connection; then the old one delivers it, too."""
    async with talk(tmp_path / "data", timeouts=Timeouts(ack=patience, close=1)) as agent:
        agent.proxy.hold(to)
        agent.speak.set()
        await agent.proxy.has_held()
        if patience < DEADLINE_S:
            await agent.nexus.admin.until(agent.task_id, "DONE")
        agent.proxy.release()
        await agent.prove()
        assert (agent.proxy.connections > agent.connections) == (patience < DEADLINE_S)


async def test_an_acknowledgement_that_is_swallowed_is_said_again_and_nothing_handled_again(
    tmp_path: Path,
) -> None:
    """Nexus sends the event anew over the next connection; the agent knows that it had it."""
    async with talk(tmp_path / "data") as agent:
        agent.proxy.lose("nexus", SECOND_ACK)
        await agent.nexus.admin.say(agent.task_id, "one")
        assert b"event_ack" in await agent.proxy.has_lost()
        agent.proxy.abort()
        await agent.comes_back()
        await agent.nexus.admin.say(agent.task_id, "two")
        agent.speak.set()
        await agent.prove()
        assert agent.heard == ["one", "two"]


async def test_an_agent_gives_up_a_connection_that_leads_nowhere_and_tries_again(
    tmp_path: Path,
) -> None:
    async with talk(tmp_path / "data", timeouts=IMPATIENT) as agent:
        agent.proxy.swallows_newcomers = True
        agent.proxy.abort()
        agent.speak.set()

        async def has_tried_twice() -> bool:
            return agent.proxy.connections >= agent.connections + 2

        await eventually(has_tried_twice, what="the agent tries again")
        assert not agent.client.connected
        agent.proxy.swallows_newcomers = False
        await agent.comes_back()
        await agent.prove()


async def test_a_first_connection_that_leads_nowhere_is_told_as_unreachable(tmp_path: Path) -> None:
    async with live_nexus(tmp_path / "data") as nexus, cutting_proxy(nexus.url) as proxy:
        proxy.swallows_newcomers = True
        with pytest.raises(NexusUnreachable, match=proxy.url):
            await agent_of(proxy, Timeouts(connect=0.3, request=0.3)).connect()


async def test_a_silent_agent_counts_as_offline(tmp_path: Path) -> None:
    async with (
        live_nexus(tmp_path / "data", heartbeat_seconds=0.3) as nexus,
        cutting_proxy(nexus.url) as proxy,
    ):
        await nexus.admin.team()
        await nexus.admin.agent("my-agent")
        async with asyncio.timeout(DEADLINE_S), connected(agent_of(proxy, BRIEF, delay=60)):
            proxy.cut()

            async def offline() -> bool:
                return not (await nexus.admin.get("/observer/agents/my-agent"))["isConnected"]

            await eventually(offline, what="the agent counts as offline")
