"""Where the author's event handlers are called, each event in a task of its own."""

import asyncio
from collections.abc import Callable, Hashable
from enum import Enum

from oblivion._crew import Crew, Handling
from oblivion._handlers import Handler, Handlers
from oblivion._lanes import Job, Lanes
from oblivion._logging import get_log

_log = get_log("handlers")


class Ending(Enum):
    """What became of an event."""

    ENDED = "ended"
    """Its handler returned or raised, or there is none."""
    CANCELLED = "cancelled"
    """Its handler was cut off by the end of the session."""
    DROPPED = "dropped"
    """Its handler never started."""


def _unheard(_ending: Ending) -> None:
    pass


class Audience:
    """The handlers of events other than assigned tasks, behind bounded lanes."""

    def __init__(self, handlers: Handlers, crew: Crew, bound: int) -> None:
        self._handlers = handlers
        self._crew = crew
        self._lanes = Lanes(bound)
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether as many events wait and run as the bound allows."""
        return self._lanes.full

    def listens(self, event: str) -> bool:
        """Whether the author has a handler for ``event``."""
        return self._handlers.get(event) is not None

    def tell(
        self,
        what: Handling,
        value: object,
        *,
        lane: Hashable,
        then: Callable[[Ending], None] = _unheard,
    ) -> None:
        """Call the handler for an event when its lane is free; ``then`` learns what became of it.

        Events of one lane go in order, one at a time. With no room left the event is dropped.
        """
        handler = self._handlers.get(what.event)
        if handler is None:
            then(Ending.ENDED)
            return

        async def run() -> None:
            then(await self._call(handler, value, what))

        job = Job(run=run, drop=lambda: then(Ending.DROPPED))
        if self._closed or not self._lanes.submit(lane, job):
            _log.warning("event_left_out", handler=what.event, task_id=what.task_id)
            then(Ending.DROPPED)

    async def settled(self) -> None:
        """Wait until every queued handler has ended."""
        await self._lanes.settled()

    async def close(self, grace: float) -> None:
        """Drop what waits, cancel what runs, and give it ``grace`` seconds to end."""
        self._closed = True
        await self._lanes.close(grace)

    async def _call(self, handler: Handler, value: object, what: Handling) -> Ending:
        log = _log.bind(handler=what.event, task_id=what.task_id)
        try:
            await self._crew.call(handler, value, what)
        except asyncio.CancelledError:
            log.info("handler_cancelled")
            return Ending.CANCELLED
        except Exception:
            log.exception("handler_failed")
        return Ending.ENDED
