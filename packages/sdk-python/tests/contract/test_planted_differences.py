"""Whether the contract notices when the fake Nexus is not as the real one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from planted_differences import PLANTS, VARIABLE


def contract(wanted: str, **planted: str) -> subprocess.CompletedProcess[str]:
    """Run a test of the contract against the fake Nexus, in a process of its own."""
    folder = str(Path(__file__).parent)
    only = ["-k", f"fake and {wanted}", "--timeout", "15", "-p", "planted_differences"]
    support = str(Path(__file__).parents[1] / "support")
    path = os.pathsep.join([support, os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder, *only],
        env={**os.environ, "PYTHONPATH": path, **planted},
        check=False,
        capture_output=True,
        text=True,
        timeout=55,
    )


@pytest.mark.soak
@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_difference_is_seen(name: str) -> None:
    _, wanted = PLANTS[name]
    ran = contract(wanted, **{VARIABLE: name})
    assert ran.returncode == 1, ran.stdout + ran.stderr


@pytest.mark.soak
def test_without_one_all_is_well() -> None:
    wanted = " or ".join(sorted({wanted for _, wanted in PLANTS.values()}))
    ran = contract(f"({wanted})")
    assert ran.returncode == 0, ran.stdout + ran.stderr
