"""Where saq runs, with results in Redis."""

from typing import Any

from redis.asyncio import Redis
from saq import Worker
from saq.queue.redis import RedisQueue

from bench.rivals.rival import CONCURRENCY, Notes

SETTINGS = "RedisQueue, 100 at once"


class Saq:
    """saq on a Redis."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url)
        self._queue = RedisQueue(self._redis, max_concurrent_ops=CONCURRENCY)

    async def connect(self) -> None:
        await self._queue.connect()

    async def enqueue(self, title: str) -> None:
        await self._queue.enqueue("job", title=title, timeout=0)

    async def work(self, notes: Notes) -> None:
        async def job(_context: Any, *, title: str) -> None:
            notes.started(title)

        async def ended(_context: Any) -> None:
            notes.ended()

        worker = Worker(self._queue, [("job", job)], concurrency=CONCURRENCY, after_process=ended)
        await worker.start()

    async def stored(self) -> int:
        keys = [key async for key in self._redis.scan_iter("saq:job:*", count=10_000)]
        return len(keys) - await self._queue.count("incomplete")


def open_rival(url: str) -> Saq:
    """Return saq."""
    return Saq(url)
