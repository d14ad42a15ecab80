"""Where requests come in at an even pace, and the way of each to its handler is timed."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from bench.processes import Worker

_STARTED_WITHIN_S = 30.0
_LOOK_EVERY_S = 0.01


async def until(holds: Callable[[], bool]) -> None:
    """Look again and again until something holds."""
    while not holds():  # noqa: ASYNC110 - whoever makes it hold has no time to say so
        await asyncio.sleep(_LOOK_EVERY_S)


async def at_pace(
    post: Callable[[str], Awaitable[object]], titles: list[str], per_second: int
) -> dict[str, int]:
    """Post each title, evenly; return when each was asked for.

    Times are monotonic nanoseconds, which all processes of a machine share. The pace does not
    wait for answers, so that a slow server is not spared.
    """
    asked: dict[str, int] = {}

    async def ask(title: str) -> None:
        asked[title] = time.monotonic_ns()
        await post(title)

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number, title in enumerate(titles):
            await asyncio.sleep(began + number / per_second - time.monotonic())
            group.create_task(ask(title))
    return asked


async def waits_ms(asked: dict[str, int], handlers: Worker) -> list[float]:
    """Return the milliseconds from each request to the start of its handler.

    Raises:
        TimeoutError: some handlers never began.
    """
    started: dict[str, int] = {}
    async with asyncio.timeout(_STARTED_WITHIN_S):
        while not asked.keys() <= started.keys():
            started |= await handlers.tell("what began?")
            await asyncio.sleep(0.05)
    return [(started[title] - asked[title]) / 1e6 for title in asked]
