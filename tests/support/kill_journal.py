"""Where it is written down, outside the server, what was asked, answered, received and done."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson


class What(StrEnum):
    """What an entry tells."""

    ASKED = "asked"  # a keyed POST left for Nexus
    ANSWERED = "answered"  # and was answered 2xx
    REFUSED = "refused"  # or refused for good
    READ = "read"  # a task was read over HTTP
    READY = "ready"  # an agent announced itself and was told the head of its history
    RECEIVED = "received"  # an agent received a durable event
    GAP = "gap"  # an agent was told that events are missing
    ACKED = "acked"  # Nexus confirmed an agent's acknowledgement of an event
    STARTED = "started"  # a handler began with an attempt
    FINISHED = "finished"  # and returned its result
    HEARD = "heard"  # a message of a thread reached a handler
    CALLED = "called"  # an agent sent a call, for the first time or again
    REPLIED = "replied"  # and the call was answered
    REBORN = "reborn"  # an agent's process was replaced by one that remembers nothing
    KILLED = "killed"  # the Nexus process died
    STUCK = "stuck"  # nothing went on any more


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One thing that happened; ``n`` is its place among all, ``life`` the server's number then."""

    n: int
    life: int
    who: str
    what: What
    id: str | None = None
    """The Idempotency-Key of a request, the envelope id of a call or an event."""
    kind: str | None = None
    """The type of an event or call, the path of a request."""
    task: str | None = None
    attempt: int | None = None
    seq: int | None = None
    status: str | None = None
    ok: bool | None = None
    digest: str | None = None
    """What stands for a payload or an answer: equal when they are."""
    text: str | None = None


@dataclass(kw_only=True)
class Journal:
    """An append-only record in memory and in a file, in the order in which things happened."""

    path: Path
    life: int = 0
    entries: list[Entry] = field(default_factory=list)
    followers: list[Callable[[Entry], None]] = field(default_factory=list)
    """Are told of each new entry."""
    _waiting: list[tuple[int, asyncio.Future[None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._file = self.path.open("ab")

    def close(self) -> None:
        """Write what is still in memory."""
        self._file.close()

    def note(self, who: str, what: What, **facts: Any) -> None:
        """Append an entry."""
        entry = Entry(n=len(self.entries), life=self.life, who=who, what=what, **facts)
        self.entries.append(entry)
        known = {name: value for name, value in asdict(entry).items() if value is not None}
        self._file.write(orjson.dumps(known) + b"\n")
        for follow in self.followers:
            follow(entry)
        for length, future in self._waiting:
            if length <= len(self.entries) and not future.done():
                future.set_result(None)

    async def grown(self, by: int) -> None:
        """Wait until this many more entries are there."""
        future = asyncio.get_running_loop().create_future()
        waiting = (len(self.entries) + by, future)
        self._waiting.append(waiting)
        try:
            await future
        finally:
            self._waiting.remove(waiting)

    def of(self, *whats: What) -> Iterator[Entry]:
        """Return the entries of these kinds, in order."""
        return (entry for entry in self.entries if entry.what in whats)


def digest(value: Any) -> str:
    """Return a text that is equal for equal JSON values."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
