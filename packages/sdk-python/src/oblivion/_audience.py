"""Where the author's event handlers are called, each event in a task of its own."""

import asyncio
from collections.abc import Callable, Hashable

from oblivion._context import Handling, handling
from oblivion._handlers import Handlers
from oblivion._lanes import Job, Lanes
from oblivion._logging import get_log
from oblivion._perform import perform
from oblivion._threads import Threads

_log = get_log("handlers")


def _nothing() -> None:
    pass


class Audience:
    """The handlers of events other than assigned tasks, behind bounded lanes."""

    def __init__(self, handlers: Handlers, threads: Threads, bound: int) -> None:
        self._handlers = handlers
        self._threads = threads
        self._lanes = Lanes(bound)

    @property
    def full(self) -> bool:
        """Whether as many events wait and run as the bound allows."""
        return self._lanes.full

    def listens(self, event: str) -> bool:
        """Whether the author has a handler for ``event``."""
        return self._handlers.get(event) is not None

    def tell(
        self,
        event: str,
        value: object,
        *,
        lane: Hashable,
        task_id: str | None = None,
        ended: Callable[[], None] = _nothing,
        dropped: Callable[[], None] = _nothing,
    ) -> bool:
        """Queue the handler for ``event``; False if there is no room.

        ``ended`` is called once the handler ended, however it ended, or at once if there is
        none; ``dropped`` instead if the session ends before the handler started.
        """
        if not self.listens(event):
            ended()
            return True

        async def run() -> None:
            try:
                await self._call(event, value, task_id)
            finally:
                ended()

        return self._lanes.submit(lane, Job(run=run, drop=dropped))

    async def settled(self) -> None:
        """Wait until every queued handler has ended."""
        await self._lanes.settled()

    async def close(self, grace: float) -> None:
        """Drop what waits, cancel what runs, and give it ``grace`` seconds to end."""
        await self._lanes.close(grace)

    async def _call(self, event: str, value: object, task_id: str | None) -> None:
        try:
            with handling(Handling(event, task_id)):
                await perform(self._handlers.get(event), value, self._threads)
        except asyncio.CancelledError:
            _log.info("handler_cancelled", handler=event, task_id=task_id)
        except Exception:  # noqa: BLE001 - whatever an author's code raises
            _log.exception("handler_failed", handler=event, task_id=task_id)
