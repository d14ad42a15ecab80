"""Where the fixtures live that give a test a Nexus and its time."""

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from oblivion.testing import FakeClock, FakeNexus


@pytest_asyncio.fixture
async def clock() -> "FakeClock":
    """The time of the test; ``await clock.advance(seconds)`` leaps ahead."""
    from oblivion.testing import FakeClock  # noqa: PLC0415 - only tests that use it load it

    return FakeClock()


@pytest_asyncio.fixture
async def nexus(clock: "FakeClock") -> AsyncGenerator["FakeNexus"]:
    """A Nexus of the test's own; see :class:`oblivion.testing.FakeNexus`."""
    from oblivion.testing import FakeNexus  # noqa: PLC0415 - only tests that use it load it

    async with FakeNexus(clock=clock) as server:
        yield server
