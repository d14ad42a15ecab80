"""Where the only writer of the embedded database lives: a thread that commits in groups.

Commands that wait share one transaction and one fsync, each inside its own savepoint, so that one
that fails leaves the others alone. Nobody is answered before the commit is on disk.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from nexus.domain.errors import Unavailable
from nexus.store.tx import Tx

R = TypeVar("R")
LARGEST_GROUP = 128
MOST_WAITING = 10_000


@dataclass(frozen=True, kw_only=True)
class _Job:
    service: Callable[[Tx], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    job: _Job
    result: Any = None
    error: BaseException | None = None
    wakes: frozenset[str] = frozenset()

    def resolve(self) -> None:
        """Hand the outcome to whoever still waits for it; runs in the waiter's loop."""
        future = self.job.future
        if future.done():
            return
        if self.error is not None:
            future.set_exception(self.error)
        else:
            future.set_result(self.result)


class GroupCommit:
    """Runs services on one thread and one connection, many to a commit.

    ``publish`` gets the topics to wake after each commit, in the loop of those who waited for it.
    """

    def __init__(
        self, engine: sa.Engine, clock: Callable[[], int], publish: Callable[[Iterable[str]], None]
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._publish = publish
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="nexus-write", daemon=True)
        self._thread.start()

    async def submit(self, service: Callable[[Tx], R]) -> R:
        """Run ``service`` and return its result once it is durable.

        The write goes on when the waiter is cancelled: a command is done whole or not at all.

        Raises:
            Unavailable: the store is closing, or the database refused the commit.
        """
        if self._closed:
            raise Unavailable("Nexus is shutting down")
        if self._jobs.qsize() >= MOST_WAITING:
            raise Unavailable(f"{MOST_WAITING} commands wait for the database already")
        loop = asyncio.get_running_loop()
        job = _Job(service=service, future=loop.create_future(), loop=loop)
        self._jobs.put(job)
        result: R = await job.future
        return result

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        running = True
        while running:
            group, running = self._next_group()
            if group:
                self._answer(self._commit(group))

    def _next_group(self) -> tuple[list[_Job], bool]:
        group: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            group.append(job)
            if len(group) == LARGEST_GROUP:
                return group, True
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _commit(self, group: list[_Job]) -> list[_Outcome]:
        try:
            with self._engine.begin() as connection:
                return [self._attempt(connection, job) for job in group]
        except sa.exc.DBAPIError as error:
            refusal = Unavailable(f"the database refused the write: {error.orig}")
            return [_Outcome(job=job, error=refusal) for job in group]
        except BaseException as error:  # noqa: BLE001 - every waiter must be answered
            return [_Outcome(job=job, error=error) for job in group]

    def _attempt(self, connection: sa.Connection, job: _Job) -> _Outcome:
        tx = Tx(connection=connection, now=self._clock())
        savepoint = connection.begin_nested()
        try:
            result = job.service(tx)
        except sa.exc.OperationalError:
            raise  # locked, full or broken: the whole group's matter
        except Exception as error:  # noqa: BLE001 - belongs to the job's waiter
            savepoint.rollback()
            return _Outcome(job=job, error=error)
        savepoint.commit()
        return _Outcome(job=job, result=result, wakes=frozenset(tx.wakes))

    def _answer(self, outcomes: list[_Outcome]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Outcome]] = {}
        for outcome in outcomes:
            by_loop.setdefault(outcome.job.loop, []).append(outcome)
        for loop, some in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._resolve, some)

    def _resolve(self, outcomes: list[_Outcome]) -> None:
        for outcome in outcomes:
            outcome.resolve()
        self._publish(frozenset().union(*(outcome.wakes for outcome in outcomes)))
