"""Where procrastinate runs, with everything in PostgreSQL."""

import psycopg
from procrastinate import App, PsycopgConnector

from bench.rivals.rival import CONCURRENCY, Notes

SETTINGS = "100 at once, 20 connections, woken by NOTIFY; counted in its table of jobs"
_POOL = 20


class Procrastinate:
    """procrastinate on a PostgreSQL."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._app = App(connector=PsycopgConnector(conninfo=url, min_size=_POOL, max_size=_POOL))
        self._notes: Notes | None = None
        self._job = self._app.task(name="job")(self._work)

    async def connect(self) -> None:
        await self._app.open_async()

    async def enqueue(self, title: str) -> None:
        await self._job.defer_async(title=title)

    async def work(self, notes: Notes) -> None:
        self._notes = notes
        await self._app.open_async()
        await self._app.schema_manager.apply_schema_async()
        await self._app.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False)

    async def stored(self) -> int:
        async with await psycopg.AsyncConnection.connect(self._url) as connection:
            found = await connection.execute(
                "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"
            )
            row = await found.fetchone()
        return 0 if row is None else int(row[0])

    async def _work(self, title: str) -> None:
        assert self._notes is not None
        self._notes.started(title)
        self._notes.ended()


def open_rival(url: str) -> Procrastinate:
    """Return procrastinate."""
    return Procrastinate(url)
