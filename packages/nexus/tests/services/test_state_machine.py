"""Thousands of random traces through the services, each step checked against model and laws."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from nexus_machine import NexusMachine
from trace_world import TraceWorld


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[TraceWorld]:
    """A world that forgets each trace."""
    world = TraceWorld(tmp_path / "nexus.db")
    yield world
    world.database.close()


@pytest.fixture
def chosen_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run, printed when it fails."""
    given = request.config.getoption("--hypothesis-seed")
    number = random.SystemRandom().randrange(2**32) if given is None else int(given)
    print(f"replay with --hypothesis-seed={number}")
    return number


def explore(world: TraceWorld, number: int, *, traces: int, steps: int) -> None:
    """Run traces from a seed."""

    @seed(number)
    def machine() -> NexusMachine:
        return NexusMachine(world)

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=traces,
            stateful_step_count=steps,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_order_of_commands_breaks_an_invariant(traced: TraceWorld, chosen_seed: int) -> None:
    explore(traced, chosen_seed, traces=1_000, steps=25)


@pytest.mark.soak
def test_a_hundred_thousand_traces_break_no_invariant(traced: TraceWorld, chosen_seed: int) -> None:
    explore(traced, chosen_seed, traces=100_000, steps=40)
