"""Fixtures of the tool gateway's tests."""

from collections.abc import Iterator

import pytest

from tool_traces import ToolTraces
from tool_world import ToolWorld


@pytest.fixture
def world(database_url: str) -> Iterator[ToolWorld]:
    """A team with a tool, on each kind of database."""
    world = ToolWorld(database_url)
    yield world
    world.database.close()


@pytest.fixture
def traced(database_url: str) -> Iterator[ToolTraces]:
    """The same, forgetting each trace."""
    world = ToolTraces(database_url)
    yield world
    world.database.close()


@pytest.fixture
def shared(postgres_url: str) -> Iterator[ToolWorld]:
    """A team with a tool, on the database where several write at once."""
    world = ToolWorld(postgres_url)
    yield world
    world.database.close()
