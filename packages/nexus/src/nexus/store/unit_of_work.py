"""Where services are run: each in a transaction, and what it caused made known after the commit."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import sqlalchemy as sa

from nexus import failpoints
from nexus.domain.errors import Unavailable
from nexus.store.group_commit import GroupCommit
from nexus.store.recent import RecentEvents
from nexus.store.refusals import Refusals
from nexus.store.sqlite import SqliteDatabase
from nexus.store.tx import Committed, Followers, Tx

P = ParamSpec("P")
R = TypeVar("R")
Service = Callable[Concatenate[Tx, P], R]
Clock = Callable[[], int]
"""Returns the time in epoch milliseconds."""


class UnitOfWork(Protocol):
    """The one door to the store."""

    recent: RecentEvents
    refusals: Refusals

    async def write(self, service: Service[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``service`` in a transaction and return its result once that is on disk."""
        ...

    async def read(self, service: Service[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``service`` on a snapshot; it cannot change anything."""
        ...

    async def glance(self, service: Service[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a ``service`` that reads little, and often: at once, where no network is between."""
        ...

    def follow(self, topic: str, service: Callable[[Tx], object]) -> None:
        """Run ``service`` in the same commit as every command that wakes ``topic``."""
        ...

    async def close(self) -> None:
        """Finish what was submitted, then let go of the database."""
        ...


class SqliteUnitOfWork:
    """The unit of work of the embedded database: one connection that writes, a few that read."""

    def __init__(
        self, database: SqliteDatabase, clock: Clock, publish: Callable[[Iterable[str]], None]
    ) -> None:
        self.recent = RecentEvents()
        self._database = database
        self._clock = clock
        self._publish = publish
        self._followers = Followers()
        self._writer = GroupCommit(database.writer, clock, self._make_known, self._followers)
        self.refusals = self._writer.refusals
        self._readers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="nexus-read")

    @property
    def lock_patience_ms(self) -> int:
        """How long a write waits for another process that holds the database's lock."""
        return self._writer.lock_patience_ms

    @lock_patience_ms.setter
    def lock_patience_ms(self, milliseconds: int) -> None:
        self._writer.lock_patience_ms = milliseconds

    async def write(self, service: Service[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``service`` in a transaction and return its result once that is on disk.

        Raises:
            Unavailable: the database is locked, full or failing; nothing was changed.
        """
        failpoints.reach("accept")
        result = await self._writer.submit(lambda tx: service(tx, *args, **kwargs))
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
        """Run a ``service`` that reads little: in the event loop, as it takes less than a thread.

        Raises:
            Unavailable: the database does not answer.
        """
        return self._read(lambda tx: service(tx, *args, **kwargs))

    def _read(self, service: Callable[[Tx], R]) -> R:
        try:
            with self._database.reader.begin() as connection:
                return service(Tx(connection, self._clock()))
        except sa.exc.OperationalError as error:
            raise Unavailable(f"the database does not answer: {error.orig}") from error

    def follow(self, topic: str, service: Callable[[Tx], object]) -> None:
        """Run ``service`` in the same commit as every command that wakes ``topic``."""
        self._followers.add(topic, service)

    def _make_known(self, committed: Committed) -> None:
        self.recent.add(committed.events)
        self._publish(committed.topics - self._followers.topics)  # those were seen to already

    async def close(self) -> None:
        """Finish what was submitted, then let go of the database."""
        await self._writer.close()
        self._readers.shutdown()
