"""What takes minutes: many tasks through a Nexus that is killed again and again."""

import asyncio
import os
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest

from free_port import free_port
from live_nexus import AGENT_SECRET, Admin, live_nexus, nexus_process
from oblivion import Limits, OblivionClient, TaskAssignedPayload

AGENTS = 5
TASKS = 500
KILLS = 20


@pytest.mark.soak
async def test_every_task_ends_done_while_nexus_is_killed_again_and_again(tmp_path: Path) -> None:
    runs: Counter[tuple[str, int]] = Counter()
    async with (
        nexus_process(tmp_path / "data", free_port()) as server,
        Admin(server.url) as admin,
        AsyncExitStack() as stack,
    ):
        await admin.team()
        for number in range(AGENTS):
            await admin.agent(f"agent-{number}")
            client = _worker(server.url, f"agent-{number}", runs)
            await stack.enter_async_context(client)
        created = [(await admin.task(str(number)))["id"] for number in range(TASKS)]
        for _ in range(KILLS):
            await asyncio.sleep(0.5)
            await server.kill()
            await server.start()
        for task_id in created:
            done = await admin.until(task_id, "DONE")
            assert done["result"] == {"attempt": done["attempt"]}
    assert set(runs.values()) == {1}, "an attempt reached its handler twice"


def _worker(url: str, client_id: str, runs: Counter[tuple[str, int]]) -> OblivionClient:
    client = OblivionClient(
        url, client_id, AGENT_SECRET, reconnect_delay=0.2, limits=Limits(ack_timeout=5)
    )

    @client.on_task_assigned
    async def work(payload: TaskAssignedPayload) -> dict[str, int]:
        runs[payload.task_id, payload.attempt] += 1
        await asyncio.sleep(0.01)
        return {"attempt": payload.attempt}

    return client


@pytest.mark.soak
async def test_memory_does_not_grow_with_the_tasks_done(tmp_path: Path) -> None:
    async with live_nexus(tmp_path / "data") as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("agent-0")
        async with _worker(nexus.url, "agent-0", Counter()):
            await _do(nexus.admin, 300)
            before = psutil.Process(os.getpid()).memory_info().rss
            await _do(nexus.admin, 1000)
            grown = psutil.Process(os.getpid()).memory_info().rss - before
    assert grown < 8 * 1024 * 1024, f"grown by {grown / 1024:.0f} KiB over 1,000 tasks"


async def _do(admin: Admin, number: int) -> None:
    created = [(await admin.task(str(index)))["id"] for index in range(number)]
    for task_id in created:
        await admin.until(task_id, "DONE")
