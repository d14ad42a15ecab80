"""Where those wait who want to see something: they are woken by every change, and never poll."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from nexus.testing.slack._errors import NeverHappenedError

T = TypeVar("T")


class Changes:
    """Wakes whoever waits, each time that something changed."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def happened(self) -> None:
        """Wake everybody who waits."""
        self._next.set()
        self._next = asyncio.Event()

    async def until(
        self, see: Callable[[], T | None], *, within_s: float, shown: Callable[[], str]
    ) -> T:
        """Return what ``see`` returns, once that is true; what is not there yet counts as false.

        Raises:
            NeverHappenedError: the time was over; its text is what ``shown`` tells.
        """
        try:
            async with asyncio.timeout(within_s):
                return await self._seen(see)
        except TimeoutError:
            raise NeverHappenedError(
                f"it did not happen within {within_s:g} s; Slack shows:\n{shown()}"
            ) from None

    async def _seen(self, see: Callable[[], T | None]) -> T:
        while not (seen := _looked(see)):
            await self._next.wait()
        return seen


def _looked(see: Callable[[], T | None]) -> T | None:
    try:
        return see()
    except LookupError:
        return None
