"""The points at which a test kills Nexus: armed by the environment, counted, and named."""

import os
import subprocess
import sys

import pytest

from nexus import failpoints

PASS = "from nexus import failpoints\nfor _ in range(3): print('pass'); failpoints.reach('accept')"


def run(armed: str | None) -> "subprocess.CompletedProcess[str]":
    """Pass a point three times in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k != failpoints.VARIABLE}
    if armed is not None:
        environment[failpoints.VARIABLE] = armed
    return subprocess.run(
        [sys.executable, "-u", "-c", PASS],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("armed", "passes", "status"),
    [
        (None, 3, 0),
        ("accept", 1, failpoints.EXIT_STATUS),
        ("accept:3", 3, failpoints.EXIT_STATUS),
        ("accept:4", 3, 0),
        ("answer", 3, 0),
    ],
)
def test_a_process_ends_at_the_armed_point_when_its_turn_came(
    armed: str | None, passes: int, status: int
) -> None:
    ended = run(armed)
    assert (ended.stdout.count("pass"), ended.returncode) == (passes, status)


@pytest.mark.parametrize("value", ["nowhere", "accept:soon", "accept:-1", ""])
def test_a_point_that_is_none_is_refused_by_name(value: str) -> None:
    with pytest.raises(failpoints.FailpointError, match=r"NAME one of accept, commit\.before"):
        failpoints.arm(value)
