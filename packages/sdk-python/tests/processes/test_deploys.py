"""A deploy is SIGTERM at any moment: no task is lost by it, none fails, none is done twice."""

import asyncio
import random
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent_program import AgentProgram, oblivion
from eventually import eventually
from live_nexus import Admin, LiveNexus, live_nexus
from oblivion.protocol import FINAL_STATUSES

AGENT = """
import asyncio, random
from oblivion import OblivionClient

client = OblivionClient.from_env()

@client.on_task_assigned
async def work(task):
    print("begin", task.task_id, flush=True)
    await client.update_status("working", task.task_id)
    await asyncio.sleep(random.choice([0.05, 0.2, 1.0]))
    await client.report_progress(task.task_id, 0.5, "half")
    print("end", task.task_id, flush=True)
    return task.title
"""

IN_HAND = 6
"""Tasks that are there at every moment."""


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveNexus]:
    """A real Nexus with a team of one agent, whose code stands in the test's folder."""
    (tmp_path / "agent.py").write_text(AGENT)
    async with live_nexus(tmp_path / "data") as live:
        await live.admin.team()
        await live.admin.agent("deployed")
        yield live


class Deploys:
    """One agent that is started and told to end, over and over, and the tasks that it gets."""

    def __init__(self, live: LiveNexus, folder: Path, seed: int) -> None:
        self.codes: Counter[int] = Counter()
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self._live = live
        self._folder = folder
        self._chance = random.Random(seed)
        self._open: set[str] = set()
        self._done: list[dict[str, Any]] = []

    async def deploy(self) -> None:
        """Start a process and end it at a random moment, also before it is there."""
        async with Admin(self._live.url) as admin:  # an older token would expire on the way
            await self._fill(admin)
        async with self._agent() as agent:
            if self._chance.random() < 0.8:
                await agent.printed("connected", patience=20)
            await asyncio.sleep(self._chance.random())
            agent.send(signal.SIGTERM)
            await self._see_the_end(agent)

    async def finish(self) -> list[dict[str, Any]]:
        """Let one last process finish what is there, and return all tasks."""
        async with self._agent() as agent, Admin(self._live.url) as admin:
            await eventually(partial(self._is_all_done, admin), what="every task has ended")
            agent.send(signal.SIGTERM)
            await self._see_the_end(agent)
        return self._done

    def _agent(self) -> AbstractAsyncContextManager[AgentProgram]:
        settings = self._live.agent_settings("deployed")
        variables = {f"OBLIVION_{name.upper()}": str(value) for name, value in settings.items()}
        variables |= {"OBLIVION_MAX_CONCURRENCY": "3", "OBLIVION_DRAIN_TIMEOUT": "0.3"}
        return oblivion("run", "agent", folder=self._folder, variables=variables)

    async def _see_the_end(self, agent: AgentProgram) -> None:
        self.codes[await agent.ended()] += 1
        assert "Traceback" not in agent.output, agent.output
        self.begun.update(re.findall(r"^begin (\S+)$", agent.output, re.MULTILINE))
        self.ended.update(re.findall(r"^end (\S+)$", agent.output, re.MULTILINE))

    async def _fill(self, admin: Admin) -> None:
        await self._is_all_done(admin)
        while len(self._open) < IN_HAND:
            self._open.add((await admin.task("Work", maxAttempts=1))["id"])

    async def _is_all_done(self, admin: Admin) -> bool:
        for task_id in list(self._open):
            task = await admin.get(f"/tasks/{task_id}")
            if task["status"] in FINAL_STATUSES:
                self._open.remove(task_id)
                self._done.append(task)
        return not self._open


async def deploy_often(live: LiveNexus, folder: Path, times: int) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    deploys = Deploys(live, folder, seed)
    for _ in range(times):
        await deploys.deploy()
    tasks = await deploys.finish()
    # Each has one attempt: a lost process, a lost lease or a failure would be its end.
    assert {task["status"] for task in tasks} == {"DONE"}, [
        t for t in tasks if t["status"] != "DONE"
    ]
    assert set(deploys.ended.values()) == {1}, "a finished task was worked on again"
    assert set(deploys.ended) == {task["id"] for task in tasks}
    early = deploys.codes.pop(-signal.SIGTERM, 0)
    assert set(deploys.codes) == {0}, deploys.codes
    again = sum(deploys.begun.values()) - len(tasks)
    print(f"{times} deploys, {early} before the command was there; {len(tasks)} tasks, ")
    print(f"{again} times handed back and begun again")


async def test_five_deploys_lose_and_fail_nothing(live: LiveNexus, tmp_path: Path) -> None:
    await deploy_often(live, tmp_path, 5)


@pytest.mark.soak
async def test_two_hundred_deploys_lose_and_fail_nothing(live: LiveNexus, tmp_path: Path) -> None:
    await deploy_often(live, tmp_path, 200)
