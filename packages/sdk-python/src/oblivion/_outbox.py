"""Where calls are kept, in order, until Nexus has acknowledged them. Pure."""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Any

from oblivion.errors import QueueOverflow

IN_FLIGHT = 64
"""Calls that are under way at once; the others wait, so that a reconnect is no flood."""

RESENDS = 5
"""How often a call is sent again after answers that say it may succeed later."""

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0


class Stage(Enum):
    """Where a kept call is."""

    WAITING = "waiting"
    SENT = "sent"
    PAUSED = "paused"


@dataclass(slots=True, eq=False)
class Entry:
    """One call: its envelope (with the id that makes it idempotent) and where it is.

    An ``essential`` call reports the end of an attempt: it is kept beyond the bound (there are no
    more of them than tasks held) and sent again until Nexus has decided.
    """

    id: str
    type: str
    envelope: dict[str, Any]
    essential: bool = False
    stage: Stage = Stage.WAITING
    refusals: int = 0


class Outbox:
    """The unacknowledged calls, oldest first."""

    def __init__(self, bound: int, in_flight: int = IN_FLIGHT) -> None:
        self._bound = bound
        self._in_flight = in_flight
        self._sent = 0
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        """Keep a call.

        Raises:
            QueueOverflow: as many calls as the bound allows are kept already.
        """
        if len(self._entries) >= self._bound and not entry.essential:
            raise QueueOverflow(
                f"{self._bound} calls wait for Nexus already (limits.pending_calls): "
                "await the calls you make, or try again once Nexus is reachable"
            )
        self._entries[entry.id] = entry

    def due(self) -> list[Entry]:
        """Return the calls to send now, in their order, and note them as sent."""
        room = max(0, self._in_flight - self._sent)
        waiting = (entry for entry in self._entries.values() if entry.stage is Stage.WAITING)
        due = list(islice(waiting, room))
        for entry in due:
            self._move(entry, Stage.SENT)
        return due

    def rewind(self) -> None:
        """Note that the connection is lost: what was sent must be sent again."""
        for entry in self._entries.values():
            if entry.stage is Stage.SENT:
                self._move(entry, Stage.WAITING)

    def pause(self, call_id: str) -> float | None:
        """Note a refusal that may pass; return the seconds to wait, None to give up."""
        entry = self._entries.get(call_id)
        if entry is None or (entry.refusals >= RESENDS and not entry.essential):
            return None
        self._move(entry, Stage.PAUSED)
        pause = _FIRST_PAUSE * 2.0 ** min(entry.refusals, 10)
        entry.refusals += 1
        return min(pause, _LONGEST_PAUSE)

    def resume(self, call_id: str) -> None:
        """Note that the pause of a call is over."""
        entry = self._entries.get(call_id)
        if entry is not None and entry.stage is Stage.PAUSED:
            self._move(entry, Stage.WAITING)

    def remove(self, call_id: str) -> None:
        """Forget a call: acknowledged, given up, or withdrawn."""
        entry = self._entries.pop(call_id, None)
        if entry is not None and entry.stage is Stage.SENT:
            self._sent -= 1

    def _move(self, entry: Entry, stage: Stage) -> None:
        self._sent += (stage is Stage.SENT) - (entry.stage is Stage.SENT)
        entry.stage = stage
