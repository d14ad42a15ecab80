"""What several of the tests of the whole share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from kill_scene import Scene, open_scene
from kill_server import Zygote, running_zygote
from postgres_server import running_postgres


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zygote() -> AsyncIterator[Zygote]:
    """What forks Nexus processes for the tests of a module, in the loop of the module."""
    async with running_zygote() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def scene(tmp_path: Path, zygote: Zygote) -> AsyncIterator[Scene]:
    """A dead Nexus with a person and an agent, for a test to bring to life and to kill."""
    async with open_scene(zygote, tmp_path) as opened:
        yield opened


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """A fresh database in a PostgreSQL of this test's own, which waits for its disk."""
    with running_postgres(durable=True) as server:
        yield server.migrated_database()
