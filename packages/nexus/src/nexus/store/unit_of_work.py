"""Where services are run: each in a transaction, on a thread, its wake-ups after the commit."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import sqlalchemy as sa

from nexus.domain.errors import Unavailable
from nexus.store.database import Database
from nexus.store.group_commit import GroupCommit
from nexus.store.tx import Tx

P = ParamSpec("P")
R = TypeVar("R")
Service = Callable[Concatenate[Tx, P], R]
Clock = Callable[[], int]
"""Returns the time in epoch milliseconds."""


class UnitOfWork(Protocol):
    """The one door to the store."""

    async def write(self, service: Service[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``service`` in a transaction and return its result once that is on disk."""
        ...

    async def read(self, service: Service[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``service`` on a snapshot; it cannot change anything."""
        ...


class SqliteUnitOfWork:
    """The unit of work of the embedded database: one writing thread, a few reading ones."""

    def __init__(
        self, database: Database, clock: Clock, publish: Callable[[Iterable[str]], None]
    ) -> None:
        self._database = database
        self._clock = clock
        self._writer = GroupCommit(database.writer, clock, publish)
        self._readers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="nexus-read")

    async def write(self, service: Service[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``service`` in a transaction and return its result once that is on disk.

        Raises:
            Unavailable: the database is locked, full or failing; nothing was changed.
        """
        return await self._writer.submit(lambda tx: service(tx, *args, **kwargs))

    async def read(self, service: Service[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``service`` on a snapshot.

        Raises:
            Unavailable: the database does not answer.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._readers, lambda: self._read(lambda tx: service(tx, *args, **kwargs))
        )

    def _read(self, service: Callable[[Tx], R]) -> R:
        try:
            with self._database.reader.connect() as connection:
                return service(Tx(connection=connection, now=self._clock()))
        except sa.exc.OperationalError as error:
            raise Unavailable(f"the database does not answer: {error.orig}") from error

    def close(self) -> None:
        """Finish what was submitted, then stop the threads."""
        self._writer.close()
        self._readers.shutdown()
