"""Where handlers that are plain functions run: on daemon threads, a bounded number at once.

Daemon threads, because a function that never returns must not keep the process from ending.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Threads:
    """A bounded crew of threads; each function sees the context variables of its caller."""

    def __init__(self, bound: int) -> None:
        self._free = asyncio.Semaphore(bound)

    async def run(self, function: Callable[[], Any]) -> Any:
        """Run ``function`` on a thread and return its result.

        When the caller is cancelled it goes on alone; the thread counts until it ends.
        """
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        job = _Job(function, contextvars.copy_context(), loop, done, self._free)
        try:
            threading.Thread(target=job.run, daemon=True, name="oblivion-handler").start()
        except RuntimeError:
            self._free.release()
            raise
        return await done


class _Job:
    """One function on one thread."""

    def __init__(
        self,
        function: Callable[[], Any],
        context: contextvars.Context,
        loop: asyncio.AbstractEventLoop,
        done: asyncio.Future[Any],
        free: asyncio.Semaphore,
    ) -> None:
        self._function = function
        self._context = context
        self._loop = loop
        self._done = done
        self._free = free

    def run(self) -> None:
        """Do the work, then hand the outcome over to the loop, if it still turns."""
        result: Any = None
        error: BaseException | None = None
        try:
            result = self._context.run(self._function)
        except StopIteration as stopped:
            error = RuntimeError(f"the handler raised StopIteration: {stopped}")
        except BaseException as raised:  # noqa: BLE001 - whatever an author's code raises
            error = raised
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._deliver, result, error)

    def _deliver(self, result: Any, error: BaseException | None) -> None:
        self._free.release()
        if self._done.done():
            return
        if error is not None:
            self._done.set_exception(error)
        else:
            self._done.set_result(result)
