"""Where a database is opened: SQLite in a data folder, its pragmas, and its schema's version."""

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.pool import QueuePool

MIGRATIONS = Path(__file__).parent / "migrations"
_READERS = 4
_PATIENCE_S = 5


class DataDirError(Exception):
    """The data folder cannot be used; the message says why and what to do."""


def prepare_data_dir(path: Path) -> None:
    """Create the data folder, private to its owner.

    Raises:
        DataDirError: it cannot be created or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise DataDirError(
            f"cannot create the data folder {path}: {error.strerror}; "
            "choose another one with --data-dir"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise DataDirError(
            f"the data folder {path} is not writable by this user; "
            "change its owner or choose another one with --data-dir"
        )


class Database:
    """An opened SQLite file: one engine that writes, one that only reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer = self._engine(read_only=False)
        self.reader = self._engine(read_only=True)

    def _engine(self, *, read_only: bool) -> sa.Engine:
        engine = sa.create_engine(
            f"sqlite:///{self.path}",
            poolclass=QueuePool,
            pool_size=_READERS if read_only else 1,
            max_overflow=0,
            connect_args={
                "check_same_thread": False,
                "timeout": _PATIENCE_S,
                "cached_statements": 512,
            },
        )
        sa.event.listen(engine, "connect", _set_pragmas(read_only=read_only))
        sa.event.listen(engine, "begin", _begin_deferred if read_only else _begin_immediate)
        return engine

    def migrate(self) -> str:
        """Bring the schema to this version's and return that version.

        Raises:
            DataDirError: the data was written by a newer Nexus.
        """
        self.refuse_newer()
        config = _alembic_config()
        with self.writer.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
        return self.newest_version()

    def refuse_newer(self) -> None:
        """Refuse a schema that this version of Nexus does not know."""
        found = self.version()
        known = {script.revision for script in _scripts().walk_revisions()}
        if found is not None and found not in known:
            raise DataDirError(
                f"{self.path} was written by a newer Nexus (schema {found}, "
                f"this one knows up to {self.newest_version()}); upgrade Nexus or restore a backup"
            )

    def version(self) -> str | None:
        """Return the version of the schema on disk; None for an empty database."""
        try:
            with self.writer.connect() as connection:
                return MigrationContext.configure(connection).get_current_revision()
        except sa.exc.DatabaseError as error:
            raise DataDirError(f"{self.path} is not usable as a database: {error.orig}") from error

    @staticmethod
    def newest_version() -> str:
        """Return the schema version that this code needs."""
        return _scripts().get_current_head() or ""

    def close(self) -> None:
        """Close every connection."""
        self.writer.dispose()
        self.reader.dispose()


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_alembic_config())


def _set_pragmas(*, read_only: bool) -> Any:
    def on_connect(dbapi_connection: Any, _record: Any) -> None:
        dbapi_connection.isolation_level = None  # transactions are begun by the listeners below
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA temp_store=MEMORY")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    return on_connect


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")
