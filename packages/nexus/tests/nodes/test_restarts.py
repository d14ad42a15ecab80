"""PostgreSQL dies again and again under load: callers hear 503 at worst, and nothing is lost."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from eventually import eventually
from live_nexus import LiveNexus, live_nexus
from oblivion import OblivionClient
from oblivion.protocol import TaskAssignedPayload
from postgres_server import PostgresServer

POSTERS = 4
PATIENCE_S = 100.0
"""What was accepted meanwhile is worked off in seconds, on a busy machine in a minute."""
AGENTS = ("one", "two")


@dataclass
class Journal:
    """What callers and agents saw, kept outside of Nexus."""

    accepted: dict[str, str] = field(default_factory=dict)
    """Task ids by idempotency key."""
    statuses: Counter[int] = field(default_factory=Counter)
    leases: dict[tuple[str, int], str] = field(default_factory=dict)
    """Which agent had which attempt."""
    doubles: list[tuple[str, int]] = field(default_factory=list)
    running: Counter[str] = field(default_factory=Counter)
    overlaps: list[str] = field(default_factory=list)

    def lease(self, agent: str, task_id: str, attempt: int) -> None:
        if self.leases.setdefault((task_id, attempt), agent) != agent:
            self.doubles.append((task_id, attempt))
        self.running[task_id] += 1
        if self.running[task_id] > 1:
            self.overlaps.append(task_id)


async def post(
    nexus: LiveNexus, journal: Journal, keys: Iterator[int], over: asyncio.Event
) -> None:
    """Post tasks one after the other, each under its key until it is accepted."""
    while not over.is_set():
        key = f"key-{next(keys)}"
        while key not in journal.accepted:
            answer = await nexus.admin.http.post(
                "/observer/tasks",
                json={"projectId": "team", "title": key},
                headers={"Idempotency-Key": key},
            )
            journal.statuses[answer.status_code] += 1
            if answer.status_code == 201:
                journal.accepted[key] = answer.json()["id"]
            else:
                assert int(answer.headers["Retry-After"]) > 0
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.01)


def worker(nexus: LiveNexus, journal: Journal, name: str) -> OblivionClient:
    """Return an agent that does whatever it gets."""
    client = OblivionClient(**nexus.agent_settings(name), max_concurrency=4)

    @client.on_task_assigned
    async def handle(task: TaskAssignedPayload) -> str:
        journal.lease(name, task.task_id, task.attempt)
        await asyncio.sleep(random.random() * 0.02)
        journal.running[task.task_id] -= 1
        return name

    return client


async def restarted(server: PostgresServer, journal: Journal, times: int) -> None:
    """Have the server die under load this often, and wait each time until it serves again."""
    for number in range(times):
        accepted = len(journal.accepted)
        await asyncio.to_thread(server.kill if number % 2 else server.stop_at_once)
        await asyncio.to_thread(server.start)

        async def serves_again(before: int = accepted) -> bool:
            return len(journal.accepted) >= before + 3 * POSTERS

        await eventually(serves_again, what="tasks are accepted again")


async def outlive(server: PostgresServer, folder: Path, times: int) -> None:
    journal, over, keys = Journal(), asyncio.Event(), itertools.count()
    async with live_nexus(folder, database_url=server.migrated_database()) as nexus:
        await nexus.admin.team()
        for name in AGENTS:
            await nexus.admin.agent(name)
        async with worker(nexus, journal, AGENTS[0]), worker(nexus, journal, AGENTS[1]):
            async with asyncio.TaskGroup() as posters:
                for _ in range(POSTERS):
                    posters.create_task(post(nexus, journal, keys, over))
                await restarted(server, journal, times)
                over.set()

            async def all_ended() -> bool:
                done = (await nexus.admin.get("/observer/stats"))["tasks"]["done"]
                return bool(done == len(journal.accepted))

            what = "every accepted task is done, and none is there twice"
            await eventually(all_ended, what=what, within=PATIENCE_S)
        await settled(nexus, journal)


async def settled(nexus: LiveNexus, journal: Journal) -> None:
    """Compare what callers and agents saw with what is stored."""
    print(f"{len(journal.accepted)} tasks, answers {dict(journal.statuses)}")
    assert set(journal.statuses) <= {201, 503}
    assert journal.statuses[503]
    assert journal.doubles == []
    assert journal.overlaps == []
    for task_id in journal.accepted.values():
        answer: httpx2.Response = await nexus.admin.http.get(f"/tasks/{task_id}")
        task = answer.json()
        assert task["status"] == "DONE"
        assert journal.leases[task_id, task["attempt"]] == task["result"]


@pytest.mark.timeout(120)
async def test_a_database_that_dies_under_load_costs_no_task(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    await outlive(own_postgres, tmp_path / "data", times=8)


@pytest.mark.soak
async def test_a_database_that_dies_thirty_times_under_load_costs_no_task(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    await outlive(own_postgres, tmp_path / "data", times=30)
