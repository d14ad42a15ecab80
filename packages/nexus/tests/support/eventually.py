"""Where tests wait for a condition, with a deadline, and never longer than it takes."""

import asyncio
from collections.abc import Awaitable, Callable

DEADLINE_S = 20.0


async def eventually(
    check: Callable[[], Awaitable[bool]], *, what: str, within: float = DEADLINE_S
) -> None:
    """Wait until ``check`` says yes; fail with ``what`` was awaited after so many seconds."""
    try:
        async with asyncio.timeout(within):
            while not await check():  # noqa: ASYNC110 - what is awaited lives in other processes
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"it never happened: {what}") from None
