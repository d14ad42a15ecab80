"""Where a handler is called, whichever kind of function it is."""

import inspect
from functools import partial
from typing import Any

from oblivion._handlers import Handler
from oblivion._threads import Threads


async def perform(handler: Handler | None, value: object, threads: Threads) -> Any:
    """Return what the handler returns: an async one runs here, any other on a thread."""
    if handler is None:
        return None
    if handler.is_async:
        return await handler.call(value)
    result = await threads.run(partial(handler.call, value))
    return await result if inspect.isawaitable(result) else result
