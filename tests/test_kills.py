"""Nexus is killed a thousand times while people and agents work: nothing lost, nothing twice."""

import time
from pathlib import Path

import pytest

from kill_checker import prove
from kill_server import Zygote
from kill_storm import Plan, run_storm

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("policy", ["assign", "claim"])
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_nothing_is_lost_and_nothing_is_done_twice_over_125_kills(
    tmp_path: Path, zygote: Zygote, seed: int, policy: str
) -> None:
    begun = time.monotonic()
    history = await run_storm(Plan(seed=seed, kills=125, policy=policy), zygote, tmp_path)
    print(f"{len(history.stored.tasks)} tasks in {time.monotonic() - begun:.1f} s")
    prove(history)
