"""Where a request waits for something to happen: bounded, and over as soon as its client leaves."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeVar

from fastapi import Request

from nexus.bus import Bus

T = TypeVar("T")

POLL_S = 1.0
"""How long a lost wake-up can hold news back."""


async def look_until(
    look: Callable[[], Awaitable[Sequence[T]]], woken: asyncio.Event, wait_s: float
) -> Sequence[T]:
    """Return what ``look`` finds once it finds something, or nothing after ``wait_s`` seconds.

    It looks again when ``woken`` is set, and at least every second.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + wait_s
    while True:
        woken.clear()
        found = await look()
        left = ends - loop.time()
        if found or left <= 0:
            return found
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(woken.wait(), min(left, POLL_S))


@contextlib.contextmanager
def woken_by(bus: Bus, topic: str) -> Iterator[asyncio.Event]:
    """Yield an event that is set whenever ``topic`` is woken."""
    woken = asyncio.Event()
    stop = bus.listen(topic, woken.set)
    try:
        yield woken
    finally:
        stop()


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what ``work`` returns; cancel it and return None when the client is gone."""
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_until_gone(request))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _until_gone(request: Request) -> None:
    message = await request.receive()
    while message["type"] != "http.disconnect":
        message = await request.receive()
