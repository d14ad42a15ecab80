"""Fixtures of the server's tests."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from live_nexus import Databases
from postgres_server import PostgresServer, running_postgres
from service_world import ServiceWorld

KINDS = ("sqlite", "postgres")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run choose its databases; without the choice it takes both."""
    parser.addoption(
        "--database", choices=[*KINDS, "both"], default="both", help="run on this database only"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run whatever takes a database on each one that was chosen."""
    if "database_kind" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--database", "both")
        kinds = KINDS if chosen == "both" else [chosen]
        metafunc.parametrize("database_kind", kinds, scope="session")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of this process' own, started when the first test asks for it."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of this test's own, to be stopped and killed; it waits for its disk."""
    with running_postgres(durable=True) as server:
        yield server


@pytest.fixture(autouse=True, scope="session")
def servers_take_what_was_chosen(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have every server in a test's process on PostgreSQL when the run is on that alone."""
    if request.config.getoption("--database", "both") == "postgres":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        Databases.of = functools.cache(lambda _: postgres.migrated_database())
    yield
    Databases.of = None


@pytest.fixture
def server_database(database_kind: str, request: pytest.FixtureRequest) -> str:
    """What a server takes as ``database_url``: none in one run of the test, one in another."""
    if database_kind == "sqlite":
        return ""
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A fresh PostgreSQL database with the schema in it."""
    url = postgres.migrated_database()
    yield url
    postgres.drop(url)


@pytest.fixture
def database_url(
    database_kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The address of a fresh database, SQLite in one run of the test and PostgreSQL in another."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'nexus.db'}"
    else:
        yield request.getfixturevalue("postgres_url")


@pytest.fixture
def world(database_url: str) -> Iterator[ServiceWorld]:
    """A store with a team, an assigning project ``work`` and a claiming one ``race``."""
    world = ServiceWorld(database_url)
    yield world
    world.database.close()
