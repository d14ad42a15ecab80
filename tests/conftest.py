"""What several of the tests of the whole share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from kill_scene import Scene, open_scene
from kill_server import Zygote, running_zygote
from postgres_server import PostgresServer, running_postgres


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zygote() -> AsyncIterator[Zygote]:
    """What forks Nexus processes for the tests of a module, in the loop of the module."""
    async with running_zygote() as running:
        yield running


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of this module's own, which waits for its disk."""
    with running_postgres(durable=True) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """A fresh database there."""
    return postgres.migrated_database()


@pytest_asyncio.fixture(loop_scope="module", params=["sqlite", "postgres"])
async def scene(
    request: pytest.FixtureRequest, tmp_path: Path, zygote: Zygote
) -> AsyncIterator[Scene]:
    """A dead Nexus with a person and an agent, for a test to bring to life and to kill."""
    is_shared = request.param == "postgres"
    settings = {"database_url": request.getfixturevalue("postgres_url")} if is_shared else {}
    async with open_scene(zygote, tmp_path, **settings) as opened:
        yield opened
