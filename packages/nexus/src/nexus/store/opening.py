"""Where the kind of a database is told by its address, and the unit of work by its kind."""

from collections.abc import Callable, Iterable
from pathlib import Path

from nexus.store.clock import wall_clock
from nexus.store.database import Database
from nexus.store.sqlite import SqliteDatabase
from nexus.store.unit_of_work import Clock, SqliteUnitOfWork, UnitOfWork

_SQLITE = "sqlite:///"


def open_database(where: str | Path) -> Database:
    """Return the database at a path (SQLite) or an address (``sqlite:///``, ``postgresql://``).

    Nothing is connected yet.

    Raises:
        DatabaseUnusable: the address is of neither kind.
    """
    if isinstance(where, Path):
        return SqliteDatabase(where)
    if where.startswith(_SQLITE):
        return SqliteDatabase(Path(where.removeprefix(_SQLITE)))
    from nexus.store.postgres import PostgresDatabase  # noqa: PLC0415 - a driver few need

    return PostgresDatabase(where)


def open_unit_of_work(
    database: Database, publish: Callable[[Iterable[str]], None], clock: Clock | None = None
) -> UnitOfWork:
    """Return the one door to a migrated database; ``publish`` gets the topics of each commit.

    Without a ``clock`` of its own a database of several nodes says itself what time it is.
    """
    if isinstance(database, SqliteDatabase):
        return SqliteUnitOfWork(database, clock or wall_clock, publish)
    from nexus.store.postgres_unit_of_work import PostgresUnitOfWork  # noqa: PLC0415 - as above

    return PostgresUnitOfWork(database, publish, clock)
