"""Where one thread's connection to PostgreSQL lives: opened when needed, dropped when broken."""

import contextlib
import time
from typing import Any

import psycopg
import sqlalchemy as sa

from nexus.store.ids import new_id
from nexus.store.postgres_failures import FAILURES, is_lost
from nexus.store.schema import writers
from nexus.store.statement import Statement, insert_into

_COUNTED = """BEGIN; UPDATE writers SET commits = {commits},
seen_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint WHERE id = '{id}'
RETURNING seen_at"""
SETTLE_S = 10.0
"""How long the fate of a commit is asked for when its answer was lost."""
_PAUSE_S = 0.1

_REGISTER = insert_into(writers, ("id", "commits", "seen_at"))
_COMMITS = Statement(
    sa.select(writers.c.commits).where(writers.c.id == sa.bindparam("id")).with_for_update()
)


class FateUnknown(Exception):
    """The connection broke during the commit, and the database cannot be asked what became."""


class Link:
    """A connection that reads: each transaction is one snapshot."""

    beginning = """BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._connection: sa.Connection | None = None

    @property
    def connection(self) -> sa.Connection:
        """The open connection.

        Raises:
            sqlalchemy.exc.DBAPIError: it cannot be opened.
        """
        if self._connection is None:
            opened = self._engine.connect()
            # Transactions are begun and ended here, in one round trip each.
            self._connection = opened.execution_options(isolation_level="AUTOCOMMIT")
            self.opened()
        return self._connection

    @property
    def driver(self) -> Any:
        """The driver's side of the connection."""
        return self.connection.connection.driver_connection

    def opened(self) -> None:
        """Prepare a connection that was just opened."""

    def begin(self) -> int:
        """Begin a transaction and return the database's time, in epoch milliseconds."""
        found = self.driver.execute(self.beginning, prepare=False)
        found.nextset()
        row: tuple[int] | None = found.fetchone()
        if row is None:
            self.drop()
            raise psycopg.OperationalError("this connection was given up for dead")
        return row[0]

    def end(self) -> None:
        """End a transaction that changed nothing."""
        self.driver.execute("ROLLBACK", prepare=False)

    def recover(self) -> None:
        """Undo what was begun; a broken connection is dropped."""
        if self._connection is None:
            return
        if self._connection.invalidated:  # it broke under an expression of SQLAlchemy's
            self.drop()
            return
        try:
            self.driver.rollback()
            self._connection.rollback()
        except FAILURES:
            self.drop()

    @property
    def is_broken(self) -> bool:
        """Whether the connection is gone, and with it whatever was not committed."""
        known_gone = self._connection is None or self._connection.invalidated
        return known_gone or self.driver.closed

    def drop(self) -> None:
        """Let go of the connection; the next transaction opens another one."""
        dropped, self._connection = self._connection, None
        if dropped is not None:
            with contextlib.suppress(psycopg.Error, sa.exc.SQLAlchemyError):
                dropped.invalidate()
            dropped.close()


class Writer(Link):
    """A connection that writes, and that knows what became of each commit.

    Its row in ``writers`` counts its commits, in the same transaction. When the answer to a commit
    is lost, the row tells, on another connection, whether it took place. Transaction ids could not:
    after a crash PostgreSQL gives out anew those that never reached the disk.
    """

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__(engine)
        self._id = ""
        self._commits = 0

    def opened(self) -> None:
        """Begin a new count."""
        self._id, self._commits = new_id(), 0
        registered = {"id": self._id, "commits": 0, "seen_at": time.time_ns() // 1_000_000}
        _REGISTER.on(self.connection.dialect).change(self.driver, registered)

    @property
    def beginning(self) -> str:  # type: ignore[override]  # a count that goes on
        """What begins the next transaction."""
        return _COUNTED.format(commits=self._commits + 1, id=self._id)

    def commit(self) -> bool:
        """Commit and return whether that took place; False means that nothing was changed.

        Raises:
            FateUnknown: the connection broke, and the database did not come back in time.
            psycopg.Error: the database refused, and nothing was changed.
        """
        wanted = self._id, self._commits + 1
        try:
            status = self.driver.execute("COMMIT", prepare=False).statusmessage
        except psycopg.Error as error:
            if not self.is_broken and not is_lost(error):
                raise
            self.drop()
            return self._settle(*wanted)
        self._commits += 1
        return bool(status == "COMMIT")

    def _settle(self, writer_id: str, commits: int) -> bool:
        """Find out whether a writer that is gone has made this commit.

        Its row is locked until its transaction has ended, one way or the other.
        """
        ends = time.monotonic() + SETTLE_S
        while True:
            try:
                rows = _COMMITS.on(self.connection.dialect).rows(self.driver, {"id": writer_id})
                return bool(rows) and rows[0]["commits"] >= commits
            except FAILURES as error:
                self.drop()
                if time.monotonic() >= ends:
                    raise FateUnknown from error
                time.sleep(_PAUSE_S)
