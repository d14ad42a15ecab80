"""Where the embedded database is opened: SQLite in a data folder, and its pragmas."""

import contextlib
import sys
from pathlib import Path
from typing import Any, TextIO

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from nexus.store.database import Database, DataDirError

_READERS = 5
"""Four threads that read, and the event loop."""
_PATIENCE_S = 5


class SqliteDatabase(Database):
    """A file that this process has for itself."""

    is_shared = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self.writer = self._engine(read_only=False)
        self.reader = self._engine(read_only=True)
        self._claim: TextIO | None = None

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
        """Bring the schema to this version's; a file that is made is for its owner only."""
        with contextlib.suppress(OSError):  # what is wrong with the folder, SQLite says
            self.path.touch(mode=0o600)
        return super().migrate()

    def check(self, connection: sa.Connection) -> None:
        """Accept it: SQLite comes with Python."""

    def keep_others_out(self, connection: sa.Connection) -> None:
        """Do nothing more: whoever writes has the file for itself."""

    def settle_in(self, connection: sa.Connection) -> None:
        """Do nothing: a copy of the file is the same everywhere."""

    def claim(self) -> None:
        """Hold a lock beside the file, which ends with this process at the latest.

        Raises:
            DataDirError: another Nexus holds it (on Windows that is not noticed).
        """
        self._claim = self.path.with_suffix(".lock").open("a")
        if sys.platform != "win32":
            import fcntl  # noqa: PLC0415 - not there on Windows

            try:
                fcntl.flock(self._claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                why = "is in use by a Nexus that runs; stop it, or choose another --data-dir"
                raise self.unusable(why) from error

    def close(self) -> None:
        """Close every connection, and let others serve."""
        super().close()
        if self._claim is not None:
            self._claim.close()

    def unusable(self, why: str) -> DataDirError:
        """Return the error that names the file."""
        return DataDirError(f"{self.path} {why}")

    def broken(self, error: sa.exc.DBAPIError) -> DataDirError:
        """Return the error for a file that is no database, or cannot be read."""
        return self.unusable(f"is not usable as a database: {error.orig}")


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
