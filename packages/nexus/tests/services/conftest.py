"""Fixtures of the services' tests."""

from collections.abc import Iterator

import pytest

from service_world import ServiceWorld


@pytest.fixture
def shared(postgres_url: str) -> Iterator[ServiceWorld]:
    """Services on the database where several write at once."""
    world = ServiceWorld(postgres_url)
    yield world
    world.database.close()
