"""Where tests wait for a condition, with a deadline, and never longer than it takes."""

import asyncio
from collections.abc import Awaitable, Callable

DEADLINE_S = 20.0


async def eventually(check: Callable[[], Awaitable[bool]], *, what: str) -> None:
    """Wait until ``check`` says yes; fail with ``what`` was awaited after the deadline."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not await check():  # noqa: ASYNC110 - what is awaited lives in other processes
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"it never happened: {what}") from None
