"""Where it is known which tasks this agent holds, and under which attempt. Pure."""

from dataclasses import dataclass

from oblivion.protocol import ActiveTask


@dataclass(slots=True, eq=False)
class Hold:
    """One lease: its task, its number, and whether the author moved the task."""

    task_id: str
    attempt: int
    moved: bool = False
    """True once the author completed, failed, released or blocked the task in person."""


class Held:
    """The leases of this agent, one per task."""

    def __init__(self) -> None:
        self._holds: dict[str, Hold] = {}

    def take(self, task_id: str, attempt: int) -> Hold | None:
        """Note a new lease; None if this attempt, or a newer one, is held already."""
        known = self._holds.get(task_id)
        if known is not None and known.attempt >= attempt:
            return None
        hold = self._holds[task_id] = Hold(task_id, attempt)
        return hold

    def get(self, task_id: str) -> Hold | None:
        """Return the lease of a task, if this agent holds it."""
        return self._holds.get(task_id)

    def drop(self, task_id: str, attempt: int) -> bool:
        """Forget the lease if it is still this attempt's; True if it was."""
        known = self._holds.get(task_id)
        if known is None or known.attempt != attempt:
            return False
        del self._holds[task_id]
        return True

    def active(self) -> list[ActiveTask]:
        """Return the leases as heartbeats report them."""
        return [
            ActiveTask(task_id=hold.task_id, attempt=hold.attempt) for hold in self._holds.values()
        ]
