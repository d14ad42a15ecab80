"""Where a disk is played that keeps, when the power goes, only what was synced.

The database runs on a file system written over apsw: each sync of a file puts aside what the
file holds by then, and :func:`lose_power` puts the files of a dead Nexus back to that. In
between SQLite sees what it wrote, as it does through a real machine's page cache.
"""

import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import apsw
import sqlalchemy as sa

NAME = "forgetful"
_SYNCED = ".synced"
_FRESH = ".fresh"


def lose_power(data_dir: Path) -> None:
    """Put each file of a database that nobody has open back to what was synced last."""
    for path in list(data_dir.glob("*.db*")):
        if path.name.endswith((_SYNCED, _FRESH)):
            continue
        synced = path.with_name(path.name + _SYNCED)
        if synced.exists():
            shutil.copyfile(synced, path)
        else:
            path.unlink()


def install(*, synchronous: str) -> None:
    """Have every engine that is made from now on store its files there."""
    _FileSystem.instance = _FileSystem(NAME, "unix")
    real = sa.create_engine
    sa.create_engine = partial(real, module=_driver(synchronous))


class _FileSystem(apsw.VFS):
    instance: "_FileSystem"

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - the library's
        return _File("unix", name, flags)

    def xDelete(self, name: str, syncdir: bool) -> None:  # noqa: N802 - the library's
        super().xDelete(name, syncdir)
        Path(name + _SYNCED).unlink(missing_ok=True)


class _File(apsw.VFSFile):
    def __init__(self, base: str, name: Any, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._path = None if path is None else Path(path)
        super().__init__(base, name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802 - the library's name
        super().xSync(flags)
        if self._path is not None:
            fresh = self._path.with_name(self._path.name + _FRESH)
            # Read through SQLite's own descriptor: to close another one of the database would drop
            # this process's locks (POSIX), and who closes next would take the log for nobody's.
            fresh.write_bytes(self.xRead(self.xFileSize(), 0))
            fresh.replace(self._path.with_name(self._path.name + _SYNCED))


class _Cursor:
    """As much of a DB-API cursor over apsw as SQLAlchemy and Nexus use."""

    arraysize = 1
    lastrowid = None

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection
        self._rows: Iterator[Any] = iter(())
        self.description: Any = None
        self.rowcount = -1

    def execute(self, sql: str, values: Any = ()) -> Self:
        before = self._connection.apsw.total_changes()
        cursor = self._connection.apsw.cursor()
        cursor.exec_trace = self._describe  # later, without rows, apsw does not tell any more
        cursor.execute(self._connection.rewritten(sql), values)
        self._rows = iter(cursor.fetchall())
        self.rowcount = self._connection.apsw.total_changes() - before
        return self

    def _describe(self, cursor: apsw.Cursor, _sql: str, _values: Any) -> bool:
        self.description = [(name, *[None] * 6) for name, _ in cursor.get_description()] or None
        return True

    def executemany(self, sql: str, many: Sequence[Any]) -> Self:
        before = self._connection.apsw.total_changes()
        for values in many:
            self.execute(sql, values)
        self.rowcount = self._connection.apsw.total_changes() - before
        return self

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def fetchmany(self, size: int = 1) -> list[Any]:
        return [row for _, row in zip(range(size), self._rows, strict=False)]

    def close(self) -> None:
        self._rows = iter(())


class _Connection:
    """As much of a DB-API connection over apsw as SQLAlchemy and Nexus use."""

    isolation_level: str | None = None

    def __init__(self, path: str, synchronous: str) -> None:
        self.apsw = apsw.Connection(path, vfs=NAME)
        self.apsw.set_busy_timeout(5_000)
        self._synchronous = synchronous

    def rewritten(self, sql: str) -> str:
        return sql.replace("PRAGMA synchronous=FULL", f"PRAGMA synchronous={self._synchronous}")

    @property
    def total_changes(self) -> int:
        return self.apsw.total_changes()

    def cursor(self) -> _Cursor:
        return _Cursor(self)

    def execute(self, sql: str, values: Any = ()) -> _Cursor:
        return self.cursor().execute(sql, values)

    def executemany(self, sql: str, many: Sequence[Any]) -> _Cursor:
        return self.cursor().executemany(sql, many)

    def commit(self) -> None:
        if self.apsw.in_transaction:
            self.apsw.execute("COMMIT")

    def rollback(self) -> None:
        if self.apsw.in_transaction:
            self.apsw.execute("ROLLBACK")

    def close(self) -> None:
        self.apsw.close()

    def create_function(self, name: str, narg: int, func: Any, **_: Any) -> None:
        self.apsw.create_scalar_function(name, func, narg)


def _driver(synchronous: str) -> Any:
    """Return what SQLAlchemy takes for the module of a driver."""

    def connect(path: str, **_options: Any) -> _Connection:
        return _Connection(path, synchronous)

    return SimpleNamespace(
        connect=connect,
        paramstyle="qmark",
        sqlite_version_info=tuple(map(int, apsw.sqlite_lib_version().split("."))),
        Error=apsw.Error,
        DatabaseError=apsw.Error,
        OperationalError=apsw.Error,
        IntegrityError=apsw.ConstraintError,
        InterfaceError=apsw.Error,
        ProgrammingError=apsw.Error,
        NotSupportedError=apsw.Error,
    )
