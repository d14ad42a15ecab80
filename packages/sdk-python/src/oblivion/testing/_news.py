"""Where a test waits for its story to go on."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 5.0
"""How long a test waits, on the machine's clock, for what should happen at once."""


class News:
    """Wakes who waits for a change."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def note(self) -> None:
        """Say that something changed."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, look: Callable[[], T | None], story: Callable[[], str]) -> T:
        """Return what ``look`` finds, as soon as it finds something.

        Raises:
            AssertionError: it found nothing in time, or raised it itself; ``story`` says what was
                expected and how things stand.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (found := look()) is None:
                    await self._change()
        except TimeoutError:
            raise AssertionError(f"after {PATIENCE_SECONDS:g} s: {story()}") from None
        return found

    async def _change(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
