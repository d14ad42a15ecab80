"""Where Celery runs, with Redis as its broker and for results."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from celery import Celery
from celery.signals import task_postrun
from celery.worker import WorkController
from redis.asyncio import Redis

from bench.rivals.rival import CONCURRENCY, Notes

_THREADS = 16
SETTINGS = (
    "16 threads that work and 16 that enqueue, acks_late, prefetch 100 a thread, "
    "without gossip, mingle and heartbeat"
)


class OnCelery:
    """Celery on a Redis."""

    def __init__(self, url: str) -> None:
        self._url = url
        # Without results: one who enqueues would subscribe to each, which costs half.
        self._app = Celery("bench", broker=url)
        self._app.conf.broker_pool_limit = _THREADS
        self._threads = ThreadPoolExecutor(_THREADS)

    async def connect(self) -> None:
        """Open nothing: Celery connects with the first job."""

    async def enqueue(self, title: str) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._app.send_task, "job", (title,))

    async def work(self, notes: Notes) -> None:
        app = Celery("bench", broker=self._url, backend=self._url)
        app.conf.update(
            task_acks_late=True,
            worker_prefetch_multiplier=CONCURRENCY,
            worker_hijack_root_logger=False,
            broker_connection_retry_on_startup=True,
        )
        app.set_default()  # the worker runs on a thread, which would else have an app of its own

        @app.task(name="job")  # type: ignore[untyped-decorator]  # the library is untyped
        def job(title: str) -> None:
            notes.started(title)

        def ended(**_: object) -> None:
            notes.ended()

        task_postrun.connect(ended, weak=False)
        worker = WorkController(
            app=app,
            pool="threads",
            concurrency=_THREADS,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        await asyncio.to_thread(worker.start)

    async def stored(self) -> int:
        async with Redis.from_url(self._url) as redis:
            found = [key async for key in redis.scan_iter("celery-task-meta-*", count=10_000)]
        return len(found)


def open_rival(url: str) -> OnCelery:
    """Return Celery."""
    return OnCelery(url)
