"""What takes minutes: many tasks through one process, whose memory stays as it was."""

import asyncio
import os
from pathlib import Path

import psutil
import pytest

from live_nexus import AGENT_SECRET, Admin, live_nexus
from oblivion import OblivionClient, TaskAssignedPayload, Timeouts


def _worker(url: str, client_id: str) -> OblivionClient:
    client = OblivionClient(
        url, client_id, AGENT_SECRET, reconnect_delay=0.2, timeouts=Timeouts(ack=5)
    )

    @client.on_task_assigned
    async def work(payload: TaskAssignedPayload) -> dict[str, int]:
        await asyncio.sleep(0.01)
        return {"attempt": payload.attempt}

    return client


@pytest.mark.soak
async def test_memory_does_not_grow_with_the_tasks_done(tmp_path: Path) -> None:
    async with live_nexus(tmp_path / "data") as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("agent-0")
        async with _worker(nexus.url, "agent-0"):
            await _do(nexus.admin, 300)
            before = psutil.Process(os.getpid()).memory_info().rss
            await _do(nexus.admin, 1000)
            grown = psutil.Process(os.getpid()).memory_info().rss - before
    assert grown < 8 * 1024 * 1024, f"grown by {grown / 1024:.0f} KiB over 1,000 tasks"


async def _do(admin: Admin, number: int) -> None:
    created = [(await admin.task(str(index)))["id"] for index in range(number)]
    for task_id in created:
        await admin.until(task_id, "DONE")
