"""Nexus is killed time and again while people and agents work: nothing lost, nothing twice.

A thousand times in each run, with the hundred deaths that the tests of the checker leave green.
"""

import asyncio
import random
from pathlib import Path

import pytest

from keyed_submitter import Submitter
from kill_checker import prove
from kill_journal import Journal, What
from kill_remains import is_settled
from kill_scene import Scene
from kill_server import Zygote
from kill_storm import Plan, run_storm

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("policy", ["assign", "claim"])
@pytest.mark.parametrize("seed", range(1, 6))
async def test_nothing_is_lost_and_nothing_is_done_twice_over_80_kills(
    tmp_path: Path, zygote: Zygote, seed: int, policy: str
) -> None:
    prove(await run_storm(Plan(seed=seed, kills=80, policy=policy), zygote, tmp_path))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [11, 12])
async def test_agents_of_the_sdk_miss_nothing_and_do_nothing_twice_over_25_kills(
    tmp_path: Path, zygote: Zygote, seed: int
) -> None:
    plan = Plan(seed=seed, kills=25, sdk=True, reborn=0)
    prove(await run_storm(plan, zygote, tmp_path))


@pytest.mark.timeout(600)
async def test_on_postgresql_too_nothing_is_lost_over_50_kills(
    tmp_path: Path, zygote: Zygote, postgres_url: str
) -> None:
    plan = Plan(seed=21, kills=50, settings={"database_url": postgres_url})
    prove(await run_storm(plan, zygote, tmp_path))


@pytest.mark.soak
@pytest.mark.parametrize("policy", ["assign", "claim"])
@pytest.mark.parametrize("seed", range(101, 109))
async def test_nothing_is_lost_and_nothing_is_done_twice_over_600_kills(
    tmp_path: Path, zygote: Zygote, seed: int, policy: str
) -> None:
    prove(await run_storm(Plan(seed=seed, kills=600, policy=policy), zygote, tmp_path))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(111, 113))
async def test_agents_of_the_sdk_miss_nothing_and_do_nothing_twice_over_200_kills(
    tmp_path: Path, zygote: Zygote, seed: int
) -> None:
    plan = Plan(seed=seed, kills=200, sdk=True, reborn=0)
    prove(await run_storm(plan, zygote, tmp_path))


@pytest.mark.soak
@pytest.mark.parametrize(("seed", "policy"), [(121, "assign"), (122, "claim")])
async def test_on_postgresql_too_nothing_is_lost_over_400_kills(
    tmp_path: Path, zygote: Zygote, postgres_url: str, seed: int, policy: str
) -> None:
    plan = Plan(seed=seed, kills=400, policy=policy, settings={"database_url": postgres_url})
    prove(await run_storm(plan, zygote, tmp_path))


async def test_a_task_that_ended_before_its_request_was_answered_leaves_its_room_to_others(
    tmp_path: Path,
) -> None:
    """Else a storm falls silent once this has happened ten times."""
    journal = Journal(path=tmp_path / "journal.jsonl")
    person = Submitter(
        url="http://nowhere", token="", journal=journal, up=asyncio.Event(), rng=random.Random(1)
    )
    person.ended("early")
    for task in ("early", "late"):
        person.begun(task)
    journal.close()
    assert person.open == {"late"}


async def test_a_storm_is_not_over_while_an_agent_has_yet_to_be_told(scene: Scene) -> None:
    """Else the last kill takes an event along that nobody would have missed."""
    (agent,) = scene.agents
    agent.may_end.clear()
    await scene.live()
    made = await scene.ask()
    assert made is not None
    async with scene.working():
        await scene.until(What.ACKED)
    assert not is_settled(scene.nexus.database), "the task goes on"
    cancelled = await scene.person.post(f"/observer/tasks/{made.json()['id']}/cancel")
    assert cancelled.json()["status"] == "CANCELLED"
    assert not is_settled(scene.nexus.database), "the agent does not know"
    async with scene.working():
        await scene.until(What.ACKED, seq=2)
    assert is_settled(scene.nexus.database)
