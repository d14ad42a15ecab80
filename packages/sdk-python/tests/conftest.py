"""Where the fixtures live that the tests of the SDK share."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contract_sides import SIDES, Hands, serving
from hand_clock import HandClock
from oblivion import OblivionClient, Timeouts
from scripted_nexus import MakeClient, ScriptedNexus, scripted_nexus


@pytest.fixture
async def nexus() -> AsyncIterator[ScriptedNexus]:
    """A scripted Nexus on a free port."""
    async with scripted_nexus() as server:
        yield server


@pytest.fixture
async def clock() -> HandClock:
    """A clock that only the test moves."""
    return HandClock()


@pytest.fixture
async def make_client(nexus: ScriptedNexus) -> AsyncIterator[MakeClient]:
    """Make clients of the scripted Nexus; they are disconnected in the end."""
    clients: list[OblivionClient] = []

    def make(**options: Any) -> OblivionClient:
        timeouts = Timeouts(connect=7, close=0.2)
        given = {"nexus_url": nexus.url, "client_id": "my-agent", "client_secret": "s3cret"}
        client = OblivionClient(**{"drain_timeout": 0.2, "timeouts": timeouts, **given, **options})
        clients.append(client)
        return client

    yield make
    for client in clients:
        async with asyncio.timeout(10):
            await client.disconnect()


@pytest.fixture(params=SIDES)
async def hands(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Hands]:
    """The real Nexus in one run of a test and the fake in another, and agents to connect to it."""
    async with serving(request.param, tmp_path / "data") as side, contextlib.AsyncExitStack() as s:
        yield Hands(side, s)
