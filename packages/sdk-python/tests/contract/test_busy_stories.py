"""Whatever people write while an agent works, and whatever happens: nothing is lost, or twice."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from busy_story import STEPS, play
from contract_sides import SIDES, Side, serving
from oblivion._busy import BUSY_POLICIES, BusyPolicy

EXAMPLES = {"fake": 25, "real": 6}
NUMBERS = itertools.count(1)


class Stage:
    """One Nexus for all examples of a test, and the loop that it lives in."""

    def __init__(self, runner: asyncio.Runner, name: str, folder: Path) -> None:
        self.name = name
        self._runner = runner
        self._stack = AsyncExitStack()
        self._side: Side = runner.run(self._stack.enter_async_context(serving(name, folder)))

    def play(self, policy: BusyPolicy, steps: list[str], *, listens: bool) -> None:
        """Play one example with an agent of its own."""
        name = f"worker-{next(NUMBERS)}"
        self._runner.run(play(self._side, policy, steps, name=name, listens=listens))

    def close(self) -> None:
        """Stop the Nexus."""
        self._runner.run(self._stack.aclose())


@pytest.fixture(params=SIDES)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """The real Nexus in one run of a test and the fake in another."""
    with asyncio.Runner() as runner:
        found = Stage(runner, request.param, tmp_path / "data")
        yield found
        found.close()


@pytest.mark.parametrize("policy", BUSY_POLICIES)
def test_no_message_is_lost_and_none_comes_twice(stage: Stage, policy: BusyPolicy) -> None:
    @settings(
        max_examples=EXAMPLES[stage.name],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=14), listens=st.booleans())
    def holds(steps: list[str], listens: bool) -> None:
        stage.play(policy, steps, listens=listens)

    holds()
