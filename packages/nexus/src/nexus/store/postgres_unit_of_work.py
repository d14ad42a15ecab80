"""Where services are run on PostgreSQL: each command a transaction of its own, on a thread.

Commands lock what they change: first the agent's session, then tasks, then, by writing its events,
the agent. Whoever comes from elsewhere passes over sessions that are locked (``SKIP LOCKED``), so
that nobody waits in a circle; should it happen all the same, the command is run again.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa

from nexus import failpoints
from nexus.domain.errors import Conflict, Unavailable
from nexus.store.database import Database
from nexus.store.postgres import READERS, WRITERS
from nexus.store.postgres_failures import (
    FAILURES,
    Failure,
    is_away,
    is_collision,
    is_too_slow,
    is_twin,
    reason,
)
from nexus.store.postgres_link import FateUnknown, Link, Writer
from nexus.store.recent import RecentEvents
from nexus.store.refusals import Refusals
from nexus.store.tx import Committed, Followers, Tx
from nexus.store.unit_of_work import Clock, Service

P = ParamSpec("P")
R = TypeVar("R")
ATTEMPTS = 5
MOST_WAITING = 2_000
PATIENCE_S = 10.0
"""How long a command may wait for its turn."""
_AWAY_S = 0.5
"""After a failed connect, how long others are refused without a try of their own."""

_log = logging.getLogger("nexus.store")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    service: Callable[[Tx], Any]
    leads: bool
    """Whether followers run after it; otherwise it is one of them, and runs when no other does."""
    submitted: float


class _FollowerFailed(Exception):
    """The command stands; what was to follow it did not succeed."""


class PostgresUnitOfWork:
    """The unit of work of a database that several nodes share.

    ``clock`` stands in for the database's own, which otherwise says what time it is.
    """

    def __init__(
        self,
        database: Database,
        publish: Callable[[Iterable[str]], None],
        clock: Clock | None = None,
    ) -> None:
        self.recent = RecentEvents()
        self.refusals = Refusals()
        self._database = database
        self._publish = publish
        self._clock = clock
        self._followers = Followers()
        self._following = threading.Lock()
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._away_until = 0.0
        self._links: list[Link] = []
        self._own = threading.local()
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="nexus-write")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="nexus-read")

    async def write(self, service: Service[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``service`` in a transaction and return its result once that is on disk.

        The write goes on when the waiter is cancelled: a command is done whole or not at all.

        Raises:
            Unavailable: the database is away, or refused; after a lost connection it may be that
                the command was carried out all the same, so send it again under its key.
            Conflict: others change the same thing all the time.
        """
        if self._closed:
            raise Unavailable("Nexus is shutting down")
        if len(self._running) >= MOST_WAITING:
            raise Unavailable(f"{MOST_WAITING} commands wait for the database already")
        failpoints.reach("accept")
        job = _Job(
            service=lambda tx: service(tx, *args, **kwargs),
            leads=service not in self._followers,
            submitted=time.monotonic(),
        )
        task = asyncio.get_running_loop().create_task(self._run(job), name="command")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        result: R = await asyncio.shield(task)
        failpoints.reach("answer")
        return result

    async def read(self, service: Service[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``service`` on a snapshot.

        Raises:
            Unavailable: the database does not answer.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._readers, lambda: self._read(lambda tx: service(tx, *args, **kwargs))
        )

    async def glance(self, service: Service[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a ``service`` that reads little, as any other: there is a network between."""
        return await self.read(service, *args, **kwargs)

    def follow(self, topic: str, service: Callable[[Tx], object]) -> None:
        """Run ``service`` in the same commit as commands that wake ``topic``.

        One of them at a time: a command that commits meanwhile has its topic published instead.
        """
        self._followers.add(topic, service)

    async def close(self) -> None:
        """Finish what was submitted, then let go of the database."""
        self._closed = True
        await asyncio.gather(*self._running, return_exceptions=True)
        self._writers.shutdown()
        self._readers.shutdown()
        for link in self._links:
            link.drop()

    async def _run(self, job: _Job) -> Any:
        loop = asyncio.get_running_loop()
        result, committed = await loop.run_in_executor(self._writers, self._execute, job)
        self.recent.add(committed.events)
        self._publish(committed.topics)
        return result

    def _execute(self, job: _Job) -> tuple[Any, Committed]:
        """Run a command until it took place once, or cannot."""
        if time.monotonic() - job.submitted > PATIENCE_S:
            raise Unavailable("the database is too slow for what is asked of it")
        if job.leads:
            return self._persist(job)
        with self._following:
            return self._persist(job)

    def _persist(self, job: _Job) -> tuple[Any, Committed]:
        writer, follow = self._link(Writer, self._database.writer), job.leads
        for attempt in range(1, ATTEMPTS + 1):
            try:
                done = self._attempt(writer, job, follow=follow)
            except _FollowerFailed:
                writer.recover()
                follow = False
            except FateUnknown as error:
                raise Unavailable(
                    "the database went away during the commit; it may have taken place"
                ) from error
            except FAILURES as error:
                late = time.monotonic() - job.submitted > PATIENCE_S
                self._judge(error, writer, last=late or attempt == ATTEMPTS)
                follow = False
                time.sleep(random.uniform(0, 0.01) * 2**attempt)
            except BaseException:
                writer.recover()
                raise
            else:
                if done is not None:
                    return done
        raise Unavailable("the database does not keep what it is told")

    def _attempt(self, writer: Writer, job: _Job, *, follow: bool) -> tuple[Any, Committed] | None:
        """Run the command once; None when its commit is known not to have taken place."""
        now = self._begin(writer)
        tx, committed = Tx(writer.connection, now), Committed()
        result = job.service(tx)
        committed.add(tx)
        services = self._followers.of(committed.topics) if follow else []
        followed = bool(services) and self._following.acquire(blocking=False)
        try:
            if followed:
                self._follow(writer, now, services, committed)
                committed.topics.difference_update(self._followers.topics)
            failpoints.reach("commit.before")
            took_place = writer.commit()
            failpoints.reach("commit.after")
        finally:
            if followed:
                self._following.release()
        return (result, committed) if took_place else None

    def _follow(
        self,
        writer: Writer,
        now: int,
        services: list[Callable[[Tx], object]],
        committed: Committed,
    ) -> None:
        try:
            for service in services:
                tx = Tx(writer.connection, now)
                service(tx)
                committed.add(tx)
        except Exception as error:
            _log.warning("follower_failed reason=%r", str(error)[:200])
            raise _FollowerFailed from error

    def _read(self, service: Callable[[Tx], R]) -> R:
        link = self._link(Link, self._database.reader)
        for last in (False, True):
            try:
                result = service(Tx(link.connection, self._begin(link)))
                link.end()
            except FAILURES as error:
                self._judge(error, link, last=last)
            except BaseException:
                link.recover()
                raise
            else:
                return result
        raise Unavailable("the database does not answer")

    def _link(self, kind: type[Link], engine: sa.Engine) -> Any:
        """Return this thread's connection, which may not be open."""
        link: Link | None = getattr(self._own, "link", None)
        if link is None:
            link = self._own.link = kind(engine)
            self._links.append(link)
        return link

    def _begin(self, link: Link) -> int:
        """Begin a transaction and return its time; reconnect if need be.

        Raises:
            Unavailable: the database is away.
        """
        if time.monotonic() < self._away_until:
            raise Unavailable("the database is away")
        try:
            link.connection  # noqa: B018 - opens it
        except FAILURES as error:
            link.drop()
            self._away_until = time.monotonic() + _AWAY_S
            self.refusals.note(reason(error))
            raise Unavailable(f"the database is away: {reason(error)}") from error
        now = link.begin()
        return now if self._clock is None else self._clock()

    def _judge(self, error: Failure, link: Link, *, last: bool) -> None:
        """Return if the transaction should be run again.

        Raises:
            Unavailable: it cannot be run now.
            Conflict: others were faster each time.
        """
        link.recover()
        away = is_away(error) or link.is_broken
        if away:
            link.drop()
        if (away or is_collision(error)) and not last and not is_too_slow(error):
            return
        if is_twin(error):
            raise Conflict("somebody else made the same thing at the same moment") from error
        if away or is_collision(error):
            raise Unavailable(f"the database refused: {reason(error)}") from error
        raise error
