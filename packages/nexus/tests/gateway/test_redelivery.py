"""An agent that was away hears all that it missed, and which of its assignments are over."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from live_nexus import AGENT_SECRET, LiveNexus, live_nexus
from nexus.delivery.session import WINDOW
from socket_agent import SocketAgent, socket_agent, token_for


@pytest.fixture
async def nexus(tmp_path: Path, server_database: str) -> AsyncIterator[LiveNexus]:
    async with live_nexus(tmp_path / "data", database_url=server_database) as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("a")
        yield nexus


@pytest.fixture
async def token(nexus: LiveNexus) -> str:
    return await token_for(nexus.url, "a", AGENT_SECRET)


async def assigned_and_away(nexus: LiveNexus, token: str, number: int) -> list[str]:
    """Have so many tasks assigned to the agent, which acknowledges none and goes."""
    made = [await nexus.admin.task(str(each)) for each in range(number)]
    async with socket_agent(nexus.url, token) as agent:
        await agent.ready(maxConcurrency=number)
        await agent.until("task_assigned", count=min(number, WINDOW))
    return [task["id"] for task in made]


def heard(agent: SocketAgent) -> list[dict[str, Any]]:
    return [
        message for _, message in agent.events if isinstance(message, dict) and "seq" in message
    ]


async def test_what_was_cancelled_while_the_agent_was_away_comes_as_withdrawn(
    nexus: LiveNexus, token: str
) -> None:
    cancelled, kept = await assigned_and_away(nexus, token, 2)
    await nexus.admin.post(f"/observer/tasks/{cancelled}/cancel")
    async with socket_agent(nexus.url, token) as agent:
        await agent.ready(maxConcurrency=2)
        await agent.until("task_cancelled")
        told = [(m["type"], m["payload"]["taskId"], m.get("withdrawn")) for m in heard(agent)]
        assert sorted(told[:2]) == sorted(
            [("task_assigned", cancelled, True), ("task_assigned", kept, None)]
        )
        assert told[2] == ("task_cancelled", cancelled, None)
        await agent.call("event_ack", {"seqs": [1, 2, 3]})
        await nexus.admin.post(f"/observer/tasks/{kept}/cancel")
        await agent.until("task_cancelled", count=2)
        assert [m["seq"] for m in heard(agent)] == [1, 2, 3, 4]


async def test_every_page_of_what_was_missed_tells_what_is_over(
    nexus: LiveNexus, token: str
) -> None:
    """More than one window: what is read later is judged as it is then."""
    number = WINDOW + 20
    made = await assigned_and_away(nexus, token, number)
    for task_id in made[::2]:
        await nexus.admin.post(f"/observer/tasks/{task_id}/cancel")
    async with socket_agent(nexus.url, token) as agent:
        await agent.ready(maxConcurrency=number)
        await agent.until("task_assigned", count=WINDOW)
        late = [m["payload"]["taskId"] for m in heard(agent)]
        await nexus.admin.post(f"/observer/tasks/{unheard(made, late)}/cancel")
        await agent.call("event_ack", {"seqs": [m["seq"] for m in heard(agent)]})
        await agent.until("task_assigned", count=number)
        await agent.until("task_cancelled", count=number // 2 + 1)
        cancelled = {m["payload"]["taskId"] for m in agent.named("task_cancelled")}
        assert len(cancelled) == number // 2 + 1
        assert cancelled == {
            m["payload"]["taskId"] for m in agent.named("task_assigned") if m.get("withdrawn")
        }
        assert [m["seq"] for m in heard(agent)] == list(range(1, number + len(cancelled) + 1))


def unheard(made: list[str], heard: list[str]) -> str:
    """Return a task that is not cancelled and whose assignment is on the second page."""
    return next(task_id for task_id in made[1::2] if task_id not in heard)


async def test_a_live_assignment_is_never_withdrawn(nexus: LiveNexus, token: str) -> None:
    async with socket_agent(nexus.url, token) as agent:
        await agent.ready(maxConcurrency=1)
        for number in range(1, 4):
            task = await nexus.admin.task()
            await agent.until("task_assigned", count=number)
            await nexus.admin.post(f"/observer/tasks/{task['id']}/cancel")
            await agent.until("task_cancelled", count=number)
        assert not any("withdrawn" in m for m in heard(agent))
