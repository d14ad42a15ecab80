"""The checker is tested itself: on a Nexus with one mechanism taken out it turns red."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from kill_checker import prove
from kill_server import Zygote
from kill_storm import Plan, run_storm
from unsynced_sqlite import lose_power
from wire_agent import Habits

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(500)]
_STORMS = 5

HAUNTED = Plan(seed=11, kills=12, reborn=1.0, habits=Habits(haunts=1.0), patience_s=5)
"""Agents' processes are replaced in each life, and the old ones go on calling."""
SUDDEN = Plan(seed=12, kills=12, points=(None,), patience_s=5)
"""Deaths at any moment."""
QUICK = Plan(seed=12, kills=12, points=(None,), latest=12, patience_s=5)
"""Deaths that follow soon upon whatever was answered."""
UNCOMMITTED = Plan(seed=13, kills=40, points=("commit.before",), patience_s=5)
"""Deaths after the work and before its commit."""
UNHEARD = Plan(
    seed=14, kills=12, points=("answer", "emit.after", "commit.after", None), patience_s=5
)
"""Deaths after the commit, before anybody hears of it."""
POWERLESS = Plan(
    seed=15,
    kills=12,
    points=(None, "answer", "commit.after"),
    fault_from_the_start="lose_unsynced_writes",
    after_death=lose_power,
    patience_s=5,
)
"""Deaths that take along what was not synced."""

CASES = [
    (HAUNTED, "drop_the_fence", r"L: attempt \d+ at \w+ was ended \d times"),
    (QUICK, "answer_before_the_commit", r"A: .* was (confirmed|answered 201)"),
    (UNCOMMITTED, "number_events_by_a_sequence", r"D: .* was sent event \d+ after \d+"),
    (UNHEARD, "forget_keys", r"I: .* asked for by 1 key, made \d tasks"),
    (UNHEARD, "forget_calls", r"I: call .* was answered with .* and .*"),
    (SUDDEN, "send_only_what_is_new", r"D: .* was sent event \d+ after \d+"),
    (POWERLESS, "commit_without_sync", r"A: task \w+ was answered 201 .* and is gone"),
]


@pytest.mark.parametrize(("plan", "fault", "message"), CASES, ids=[case[1] for case in CASES])
async def test_a_planted_fault_turns_the_checker_red(
    tmp_path: Path, zygote: Zygote, plan: Plan, fault: str, message: str
) -> None:
    """A storm is left to chance in part, so one that struck beside the fault is not the last."""
    said: list[str] = []
    for number in range(_STORMS):
        folder = tmp_path / str(number)
        folder.mkdir()
        storm = replace(plan, fault=fault, seed=plan.seed + 100 * number)
        try:
            prove(await run_storm(storm, zygote, folder))
        except (AssertionError, TimeoutError) as error:
            said.append(str(error))
            if re.search(message, said[-1]):
                return
    pytest.fail(f"{_STORMS} storms have not shown the fault; they said {said}")


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(HAUNTED, id="haunted"),
        pytest.param(SUDDEN, id="sudden"),
        pytest.param(QUICK, id="quick"),
        pytest.param(UNCOMMITTED, id="uncommitted"),
        pytest.param(UNHEARD, id="unheard"),
        pytest.param(replace(POWERLESS, fault="lose_unsynced_writes"), id="powerless"),
    ],
)
async def test_the_same_deaths_leave_the_whole_nexus_green(
    tmp_path: Path, zygote: Zygote, plan: Plan
) -> None:
    prove(await run_storm(replace(plan, patience_s=Plan.patience_s), zygote, tmp_path))
