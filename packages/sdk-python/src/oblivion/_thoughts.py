"""Where thoughts and log lines wait to be sent to Nexus: a few at once, and never before work."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime

from oblivion._calls import Calls
from oblivion._clock import Clock, sleep
from oblivion._logging import get_log
from oblivion.errors import OblivionError
from oblivion.protocol import Acknowledged, EventType, Think, Thought

KEPT = 1_000
"""So many thoughts wait at most; further ones are dropped, and counted."""

AT_ONCE = 50
PAUSE_SECONDS = 0.5
LONGEST_TEXT = 2_000

_log = get_log("thoughts")


class Thoughts:
    """The thoughts of one session that Nexus has not got yet, oldest first.

    One call is under way at a time. What finds no room, or is refused, is dropped; the number is
    told with the next call about the task.
    """

    def __init__(self, calls: Calls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock
        self._waiting: deque[tuple[str, Thought]] = deque()
        self._dropped: Counter[str] = Counter()
        self._come = asyncio.Event()
        self._gone = asyncio.Event()
        self._gone.set()

    def add(self, task_id: str, thought: Thought) -> None:
        """Have a thought sent, if there is room."""
        if len(self._waiting) >= KEPT:
            self._drop(task_id, 1, "too many wait")
            return
        self._waiting.append((task_id, thought))
        self._gone.clear()
        self._come.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._come.wait()
            self._come.clear()
            while self._waiting:
                await self._send(*self._next())
                await self._pause()

    async def flushed(self) -> None:
        """Wait until nothing waits any more."""
        await self._gone.wait()

    async def _pause(self) -> None:
        """Let a few come together, unless many are there already."""
        if not self._waiting:
            self._gone.set()
        if len(self._waiting) < AT_ONCE:
            await sleep(self._clock, PAUSE_SECONDS)

    def _next(self) -> tuple[str, list[Thought]]:
        """Take the oldest thoughts, as far as they are about one task."""
        task_id = self._waiting[0][0]
        taken: list[Thought] = []
        while self._waiting and self._waiting[0][0] == task_id and len(taken) < AT_ONCE:
            taken.append(self._waiting.popleft()[1])
        return task_id, taken

    async def _send(self, task_id: str, thoughts: list[Thought]) -> None:
        dropped = self._dropped.pop(task_id, 0)
        wish = Think(task_id=task_id, thoughts=thoughts, dropped=dropped)
        try:
            await self._calls.call(EventType.THINK, wish, Acknowledged)
        except OblivionError as error:
            self._drop(task_id, dropped + len(thoughts), str(error))

    def _drop(self, task_id: str, count: int, why: str) -> None:
        first = task_id not in self._dropped
        self._dropped[task_id] += count
        if first:
            _log.warning("thoughts_dropped", task_id=task_id, reason=why)
        if len(self._dropped) > KEPT:
            del self._dropped[next(iter(self._dropped))]


def thought(text: str, at: datetime, **more: object) -> Thought:
    """Return a thought; a long text is cut."""
    cut = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} ..."
    return Thought.model_validate({"text": cut, "at": at, **more})


class TraceHandler(logging.Handler):
    """Sends the log lines of handlers to the traces of their tasks; other lines it leaves."""

    def __init__(self, note: Callable[[str, str, str], None], level: int | str) -> None:
        super().__init__(level)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        """Send a line; what is wrong with it is the business of logging."""
        if record.name == "oblivion" or record.name.startswith("oblivion."):
            return  # the SDK's own lines are about the SDK
        try:
            self._note(self.format(record), record.levelname.lower(), record.name)
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)
