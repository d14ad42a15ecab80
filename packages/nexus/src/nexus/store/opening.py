"""Where the kind of a database is told by its address."""

from pathlib import Path

from nexus.store.database import Database
from nexus.store.sqlite import SqliteDatabase

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
