"""Where the embedded database is written: one connection, many commands to a commit.

Commands that wait share one transaction and one fsync. One that fails leaves the others alone: if
it had written something already, the group begins anew with each command in a savepoint of its own.
They run in the event loop, for a command takes tens of microseconds and a thread would fight the
loop for the interpreter at every statement; what waits for the disk, or for a lock of another
process, waits on a thread. Nobody is answered before the commit is on disk.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa

from nexus import failpoints
from nexus.domain.errors import NexusError, Unavailable
from nexus.store.refusals import Refusals
from nexus.store.schema import activity
from nexus.store.statement import Row
from nexus.store.tx import Committed, Followers, Tx

R = TypeVar("R")
_Run = Callable[[Callable[[Tx], Any], Committed], Any]
LARGEST_GROUP = 64
MOST_WAITING = 10_000
_log = logging.getLogger("nexus.store")


@dataclass(kw_only=True, slots=True)
class _Job:
    service: Callable[[Tx], Any]
    future: asyncio.Future[Any]
    submitted: float = field(default_factory=time.monotonic)


@dataclass(kw_only=True, slots=True)
class _Outcome:
    job: _Job
    result: Any = None
    error: BaseException | None = None

    def resolve(self) -> None:
        """Hand the outcome to whoever still waits for it."""
        future = self.job.future
        if future.done():
            return
        if self.error is not None:
            future.set_exception(self.error)
        else:
            future.set_result(self.result)


class _HalfDone(Exception):
    """A command failed after it had written something, and no savepoint leads back before it."""


class GroupCommit:
    """Runs commands in groups on the one connection that writes.

    ``publish`` gets what each commit has brought, once it is on disk.
    """

    def __init__(
        self,
        engine: sa.Engine,
        clock: Callable[[], int],
        publish: Callable[[Committed], None],
        followers: Followers,
    ) -> None:
        self.lock_patience_ms = 5_000
        self.refusals = Refusals()
        self._clock = clock
        self._publish = publish
        self._followers = followers
        self._jobs: deque[_Job] = deque()
        self._running: asyncio.Task[None] | None = None
        self._closed = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nexus-commit")
        self._connection = engine.connect()
        self._driver: Any = self._connection.connection.driver_connection
        self._wait_for_locks(0)

    def submit(self, service: Callable[[Tx], R]) -> asyncio.Future[R]:
        """Run ``service``; the future has its result once it is durable.

        The write goes on when the future is cancelled: a command is done whole or not at all.

        Raises:
            Unavailable: the store is closing, or too many commands wait; from the future, the
                database refused the commit.
        """
        if self._closed:
            raise Unavailable("Nexus is shutting down")
        if len(self._jobs) >= MOST_WAITING:
            raise Unavailable(f"{MOST_WAITING} commands wait for the database already")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._jobs.append(_Job(service=service, future=future))
        if self._running is None:
            self._running = loop.create_task(self._run(), name="group commit")
        return future

    async def close(self) -> None:
        """Finish what is queued, then let go of the database."""
        self._closed = True
        if self._running is not None:
            await self._running
        self._thread.shutdown()
        self._connection.close()

    async def _run(self) -> None:
        try:
            while self._jobs:
                group = [self._jobs.popleft() for _ in range(min(len(self._jobs), LARGEST_GROUP))]
                for outcome in await self._commit(group):
                    outcome.resolve()
                await asyncio.sleep(0)  # those who were answered may have more for the next group
        finally:
            self._running = None

    async def _commit(self, group: list[_Job]) -> list[_Outcome]:
        try:
            locked_until = group[0].submitted + self.lock_patience_ms / 1000
            outcomes, committed = await self._carry_out(group, locked_until)
            failpoints.reach("commit.before")
            await self._on_thread(self._connection.commit)
            failpoints.reach("commit.after")
        except sa.exc.DBAPIError as error:
            self.refusals.note(str(error.orig))
            return self._refuse(group, Unavailable(f"the database refused the write: {error.orig}"))
        except BaseException as error:  # noqa: BLE001 - every waiter must be answered
            return self._refuse(group, error)
        self._publish(committed)
        return outcomes

    async def _carry_out(
        self, group: list[_Job], locked_until: float
    ) -> tuple[list[_Outcome], Committed]:
        await self._begin(locked_until)
        try:
            return self._run_all(group, self._freely)
        except _HalfDone:
            self._connection.rollback()
        await self._begin(locked_until)
        return self._run_all(group, self._in_savepoint)

    def _run_all(self, group: list[_Job], run: _Run) -> tuple[list[_Outcome], Committed]:
        committed = Committed()
        outcomes = [self._attempt(job, run, committed) for job in group]
        self._follow(run, committed)
        self._write_entries(committed.entries)
        return outcomes, committed

    def _write_entries(self, entries: list[Row]) -> None:
        Tx(self._connection, self._clock(), driver=self._driver).insert_all(activity, entries)

    def _refuse(self, group: list[_Job], error: BaseException) -> list[_Outcome]:
        self._connection.rollback()
        return [_Outcome(job=job, error=error) for job in group]

    async def _begin(self, locked_until: float) -> None:
        """Take the write lock if it is free; else wait for it where that holds up nobody.

        What the oldest command has waited already counts, so that none is kept waiting by those
        before it.
        """
        try:
            self._connection.begin()
        except sa.exc.OperationalError:
            self._connection.rollback()
            await self._on_thread(lambda: self._begin_patiently(locked_until))

    def _begin_patiently(self, locked_until: float) -> None:
        left_s = max(0.0, locked_until - time.monotonic())
        self._wait_for_locks(int(left_s * 1000))
        try:
            self._connection.begin()
        finally:
            self._wait_for_locks(0)

    def _wait_for_locks(self, milliseconds: int) -> None:
        self._driver.execute(f"PRAGMA busy_timeout={milliseconds}")

    async def _on_thread(self, act: Callable[[], None]) -> None:
        """Do what may wait for the disk or a lock; a cancelled caller waits for its end too."""
        await asyncio.get_running_loop().run_in_executor(self._thread, act)

    def _attempt(self, job: _Job, run: _Run, committed: Committed) -> _Outcome:
        try:
            result = run(job.service, committed)
        except (sa.exc.OperationalError, _HalfDone):
            raise  # locked, full or broken, or to begin anew: the whole group's matter
        except NexusError as refusal:
            # Nobody reads where a refusal came from, and it would keep itself in memory by this.
            return _Outcome(job=job, error=refusal.with_traceback(None))
        except Exception as error:  # noqa: BLE001 - belongs to the job's waiter
            return _Outcome(job=job, error=error)
        return _Outcome(job=job, result=result)

    def _freely(self, service: Callable[[Tx], Any], committed: Committed) -> Any:
        """Run a command without a savepoint, which most never need."""
        written = self._driver.total_changes
        tx = Tx(self._connection, self._clock(), [], self._driver)
        try:
            result = service(tx)
        except sa.exc.OperationalError:
            raise
        except Exception as error:
            if self._driver.total_changes != written:
                raise _HalfDone from error
            raise
        committed.add(tx)
        return result

    def _in_savepoint(self, service: Callable[[Tx], Any], committed: Committed) -> Any:
        tx = Tx(self._connection, self._clock(), [], self._driver)
        self._driver.execute("SAVEPOINT command")
        try:
            result = service(tx)
        except sa.exc.OperationalError:
            raise
        except Exception:
            self._driver.execute("ROLLBACK TO command")
            self._driver.execute("RELEASE command")
            raise
        self._driver.execute("RELEASE command")
        committed.add(tx)
        return result

    def _follow(self, run: _Run, committed: Committed) -> None:
        for service in self._followers.of(committed.topics):
            try:
                run(service, committed)
            except (sa.exc.OperationalError, _HalfDone):
                raise
            except Exception:  # noqa: BLE001 - the commands it follows stand without it
                _log.exception("follower_failed")
