"""Where a request waits for news: bounded, and over when its client or this node goes."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from nexus.services.platform import Platform

T = TypeVar("T")

POLL_S = 1.0
"""How long a lost wake-up can hold news back."""


class Drain:
    """Whether this node is about to stop: then nobody is kept waiting any more."""

    def __init__(self, platform: Platform) -> None:
        self.begun = False
        platform.bus.listen(platform.draining_topic, self._begin)

    def _begin(self) -> None:
        self.begun = True


async def _drain_of(request: Request) -> Drain:
    drain: Drain = request.app.state.drain
    return drain


Draining = Annotated[Drain, Depends(_drain_of)]


class Watch:
    """Whether there may be news, and whether waiting for it makes sense any more."""

    def __init__(self, *, over: bool = False) -> None:
        self.over = over
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Have the waiter look."""
        self._woken.set()

    def end(self) -> None:
        """Have the waiter look for the last time."""
        self.over = True
        self._woken.set()

    async def wait(self, seconds: float) -> None:
        """Return when woken, or after ``seconds``."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)
        self._woken.clear()


@contextlib.contextmanager
def watching(platform: Platform, topic: str, drain: Drain) -> Iterator[Watch]:
    """Yield a watch that ``topic`` wakes and the end of this node ends."""
    watch = Watch(over=drain.begun)
    deafen = platform.bus.listen(topic, watch.wake)
    detach = platform.bus.listen(platform.draining_topic, watch.end)
    try:
        yield watch
    finally:
        deafen()
        detach()


async def look_until(
    look: Callable[[], Awaitable[Sequence[T]]], watch: Watch, wait_s: float
) -> Sequence[T]:
    """Return what ``look`` finds once it finds something, or nothing after ``wait_s`` seconds.

    It looks again when woken, and at least every second.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + wait_s
    while True:
        found = await look()
        left = ends - loop.time()
        if found or left <= 0 or watch.over:
            return found
        await watch.wait(min(left, POLL_S))


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what ``work`` returns; cancel it and return None when the client is gone."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_until_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _until_gone(request: Request) -> None:
    message = await request.receive()
    while message["type"] != "http.disconnect":
        message = await request.receive()
