"""Where a worker's end of the talk with the benchmark lives: lines of JSON on its standard streams.

The first line it reads holds its options; it answers once it is ready, then once to every
further line, and ends when the benchmark closes the pipe or dies.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any


def options() -> Any:
    """Return what the benchmark told this worker at its start."""
    return json.loads(sys.stdin.readline())


def say(answer: object) -> None:
    """Answer."""
    print(json.dumps(answer), flush=True)


async def questions() -> AsyncIterator[str]:
    """Yield each line that the benchmark sends, until it hangs up."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield line.strip()


async def orders() -> AsyncIterator[dict[str, Any]]:
    """Yield what each line tells to do, until the benchmark hangs up."""
    async for line in questions():
        yield json.loads(line)
