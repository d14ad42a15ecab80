"""Where short work of a node's sessions runs, so that an idle session needs no task of its own."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger("nexus.delivery")


class Errands:
    """Runs errands side by side; one that fails is told to the log and leaves the others alone."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, errand: Coroutine[Any, Any, None]) -> None:
        """Begin an errand."""
        task = asyncio.get_running_loop().create_task(errand)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def finish(self) -> None:
        """Wait for the errands under way, and for those that come of them."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("errand_failed", exc_info=error)
