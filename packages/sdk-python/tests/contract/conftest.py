"""Where each test of the contract gets its Nexus: the real one in one run, the fake in another."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract_sides import SIDES, Hands, serving


@pytest.fixture(params=SIDES)
async def hands(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Hands]:
    """A Nexus, and whom one can connect to it."""
    async with serving(request.param, tmp_path / "data") as side, contextlib.AsyncExitStack() as s:
        yield Hands(side, s)
