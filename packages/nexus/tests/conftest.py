"""Fixtures of the server's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service_world import ServiceWorld


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ServiceWorld]:
    """A store with a team, an assigning project ``work`` and a claiming one ``race``."""
    world = ServiceWorld(tmp_path / "nexus.db")
    yield world
    world.database.close()
