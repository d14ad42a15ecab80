"""Where taskiq runs: Redis streams with acknowledgement, and results in Redis."""

from typing import Any

from redis.asyncio import Redis
from taskiq import TaskiqMessage, TaskiqMiddleware, TaskiqResult
from taskiq.api import run_receiver_task
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from bench.rivals.rival import CONCURRENCY, Notes

SETTINGS = "RedisStreamBroker, acknowledged when the result is saved, 100 at once, prefetch 100"
_RESULTS = "result"


class _Counting(TaskiqMiddleware):
    """Counts results once they are saved."""

    def __init__(self, notes: Notes) -> None:
        super().__init__()
        self._notes = notes

    def post_save(self, message: TaskiqMessage, result: "TaskiqResult[Any]") -> None:
        self._notes.ended()


class Taskiq:
    """taskiq on a Redis."""

    def __init__(self, url: str) -> None:
        self._url = url
        results = RedisAsyncResultBackend[Any](url, prefix_str=_RESULTS, result_ex_time=600)
        # From the first message on, for the worker may come after it.
        self._broker = RedisStreamBroker(url, consumer_id="0").with_result_backend(results)
        self._notes: Notes | None = None

        @self._broker.task(task_name="job")
        async def job(title: str) -> None:
            assert self._notes is not None
            self._notes.started(title)

        self._job = job

    async def connect(self) -> None:
        await self._broker.startup()

    async def enqueue(self, title: str) -> None:
        await self._job.kiq(title)

    async def work(self, notes: Notes) -> None:
        self._notes = notes
        self._broker.is_worker_process = True
        self._broker.add_middlewares(_Counting(notes))
        await self._broker.startup()
        await run_receiver_task(
            self._broker, max_async_tasks=CONCURRENCY, max_prefetch=CONCURRENCY, run_startup=False
        )

    async def stored(self) -> int:
        async with Redis.from_url(self._url) as redis:
            return len([key async for key in redis.scan_iter(f"{_RESULTS}:*", count=10_000)])


def open_rival(url: str) -> Taskiq:
    """Return taskiq."""
    return Taskiq(url)
