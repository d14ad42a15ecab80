"""Where handlers are called, whichever kind of function they are, and where their code is known."""

import inspect
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from oblivion._handlers import Handler
from oblivion._telemetry import arrived_with, handling
from oblivion._threads import Threads


@dataclass(frozen=True, slots=True)
class Handling:
    """What a handler was called for: an attempt at a task, or another event."""

    event: str
    task_id: str | None = None
    attempt: int | None = None
    tool: str | None = None
    traceparent: str | None = field(default_factory=arrived_with)


class Crew:
    """Calls the handlers of one session: async ones in place, any other on a thread.

    Code that a handler runs, and the tasks and threads it starts, can be told from other code.
    """

    def __init__(self, agent: str, threads: int) -> None:
        self._agent = agent
        self._threads = Threads(threads)

    def handling(self) -> Handling | None:
        """Return what the calling code handles for this session, if it belongs to a handler."""
        crew, what = _at_work.get()
        return what if crew is self else None

    async def call(self, handler: Handler, value: object, what: Handling) -> Any:
        """Call a handler and return what it returns."""
        token = _at_work.set((self, what))
        try:
            with handling(self._agent, what):
                return await self._run(handler, value)
        finally:
            _at_work.reset(token)

    async def _run(self, handler: Handler, value: object) -> Any:
        if handler.is_async:
            return await handler.call(value)
        result = await self._threads.run(partial(handler.call, value))
        return await result if inspect.isawaitable(result) else result


_at_work: ContextVar[tuple[Crew | None, Handling | None]] = ContextVar(
    "oblivion_at_work", default=(None, None)
)
