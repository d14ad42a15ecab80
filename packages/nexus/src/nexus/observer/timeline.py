"""Where a task's life becomes a drawing to scale: stretches of time between what happened. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from nexus.store.tx import Row

WIDTH = 1000

_STAGES = {
    "task_created": "TODO",
    "task_assigned": "CLAIMED",
    "task_started": "IN_PROGRESS",
    "task_blocked": "BLOCKED_ON_HUMAN",
    "task_retrying": "TODO",
    "task_retried": "TODO",
    "task_released": "TODO",
    "task_done": "DONE",
    "task_failed": "FAILED",
    "task_cancelled": "CANCELLED",
}
_MARKED = frozenset({"message_posted", "assignment_sent", "assignment_heard"})
_ENDS = frozenset({"DONE", "FAILED", "CANCELLED"})


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A time in which the task stood at one status; ``x`` and ``width`` are of ``WIDTH``."""

    status: str
    began: int
    ended: int
    x: float
    width: float

    @property
    def lasted(self) -> int:
        """For how many milliseconds."""
        return self.ended - self.began


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A moment at which something was said."""

    at: int
    x: float
    type: str


@dataclass(frozen=True, kw_only=True)
class Call:
    """The time that a call of a tool took, with its wait for a person; it has an end or goes on."""

    name: str
    state: str
    x: float
    width: float
    lasted: int


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """A task's life so far; ``ticks`` are places with their milliseconds since the beginning."""

    began: int
    ended: int
    stretches: list[Stretch]
    marks: list[Mark]
    calls: list[Call]
    ticks: list[tuple[float, int]]

    @property
    def lasted(self) -> int:
        """For how many milliseconds."""
        return self.ended - self.began


def draw(entries: Sequence[Row], began: int, now: int, calls: Sequence[Row] = ()) -> Timeline:
    """Return the drawing of what happened since ``began``, until the end or now."""
    turns = [(began, "TODO")]
    turns += [(e["at"], _STAGES[e["type"]]) for e in entries if e["type"] in _STAGES]
    ended = turns[-1][0] if turns[-1][1] in _ENDS else max(now, turns[-1][0])
    scale = WIDTH / max(ended - began, 1)

    def place(at: int) -> float:
        return round((min(max(at, began), ended) - began) * scale, 2)

    def span(call: Row) -> Call:
        until = min(call["finished_at"] or now, ended)
        x = place(call["created_at"])
        return Call(
            name=f"{call['tool']}.{call['action']}",
            state=call["state"],
            x=x,
            width=round(max(place(until) - x, 0), 2),
            lasted=max((call["finished_at"] or now) - call["created_at"], 0),
        )

    pairs = zip(turns, [*(at for at, _ in turns[1:]), ended], strict=True)
    said = [entry for entry in entries if entry["type"] in _MARKED]
    return Timeline(
        began=began,
        ended=ended,
        stretches=[
            Stretch(
                status=status,
                began=at,
                ended=until,
                x=place(at),
                width=round((until - at) * scale, 2),
            )
            for (at, status), until in pairs
            if until > at
        ],
        marks=[Mark(at=e["at"], x=place(e["at"]), type=e["type"]) for e in said],
        calls=[span(call) for call in calls],
        ticks=[(WIDTH * n / 4, round((ended - began) * n / 4)) for n in range(5)],
    )
