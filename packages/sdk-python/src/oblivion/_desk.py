"""Where the tasks that this agent holds are moved: every write names its attempt."""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from oblivion._calls import Calls
from oblivion._crew import Crew
from oblivion._held import Held, Hold
from oblivion._logging import get_log
from oblivion.errors import InvalidArgument, LeaseLost
from oblivion.protocol import (
    FINAL_STATUSES,
    Acknowledged,
    AgentStatus,
    CancelReason,
    EventType,
    StatusUpdate,
    TaskStatus,
    TaskUpdate,
    WireModel,
)

_Model = TypeVar("_Model", bound=WireModel)

_ENDS_LEASE = FINAL_STATUSES | {TaskStatus.TODO}
_AUTHORS_MOVES = _ENDS_LEASE | {TaskStatus.BLOCKED_ON_HUMAN}

_log = get_log("tasks")


class Desk:
    """The held tasks, and the calls that move them."""

    def __init__(self, calls: Calls, crew: Crew, on_lost: Callable[[str, int, str], None]) -> None:
        self.held = Held()
        self._calls = calls
        self._crew = crew
        self._on_lost = on_lost

    def hold(self, task_id: str) -> Hold:
        """Return the lease under which the calling code may write about the task.

        Code of a handler writes under the attempt it was called for, even when a later attempt
        at the same task has reached this agent meanwhile.

        Raises:
            LeaseLost: this agent does not hold the task, or not under that attempt.
        """
        hold = self.held.get(task_id)
        handled = self._crew.handling()
        stale = (
            hold is not None
            and handled is not None
            and handled.task_id == task_id
            and handled.attempt not in {None, hold.attempt}
        )
        if hold is None or stale:
            raise LeaseLost(
                f"this agent does not hold the task {task_id!r}: use the task_id of a task that "
                "was assigned to it and is not finished",
                code="lease_lost",
            )
        return hold

    async def move(self, task_id: str, status: TaskStatus, **fields: Any) -> None:
        """Move a held task on the author's behalf; see :class:`~oblivion.protocol.TaskUpdate`.

        Raises:
            LeaseLost: the task is not, or no longer, this agent's.
            CallRefused: Nexus refused for another reason.
        """
        hold = self.hold(task_id)
        before = hold.moved
        hold.moved = before or status in _AUTHORS_MOVES
        try:
            await self.write(hold, status, **fields)
        except BaseException:
            hold.moved = before
            raise

    async def report(self, hold: Hold, status: TaskStatus, **fields: Any) -> None:
        """Report the end of an attempt; kept until Nexus has decided."""
        await self.write(hold, status, essential=True, **fields)

    async def write(
        self, hold: Hold, status: TaskStatus, *, essential: bool = False, **fields: Any
    ) -> None:
        """Send one update under the lease, and note its end or its loss."""
        update = build(
            TaskUpdate, task_id=hold.task_id, attempt=hold.attempt, status=status, **fields
        )
        try:
            await self._calls.call(EventType.TASK_UPDATE, update, Acknowledged, essential=essential)
        except LeaseLost:
            self.lose(hold.task_id, hold.attempt, CancelReason.LEASE_LOST)
            raise
        if status in _ENDS_LEASE:
            self.held.drop(hold.task_id, hold.attempt)

    async def set_status(
        self, status: AgentStatus, task_id: str | None, message: str | None
    ) -> None:
        """Say what the agent does, and about which task."""
        update = build(StatusUpdate, status=status, task_id=task_id, message=message)
        hold = None if task_id is None else self.held.get(task_id)
        try:
            await self._calls.call(EventType.STATUS_UPDATE, update, Acknowledged)
        except LeaseLost:
            if hold is not None:
                self.lose(hold.task_id, hold.attempt, CancelReason.LEASE_LOST)
            raise

    def lose(self, task_id: str, attempt: int, reason: str) -> bool:
        """Note that a lease is gone, and stop the work done under it; True if it was held."""
        held = self.held.drop(task_id, attempt)
        if held:
            _log.info("lease_ended", task_id=task_id, attempt=attempt, reason=reason)
        self._on_lost(task_id, attempt, reason)
        return held


def build(model: type[_Model], **fields: Any) -> _Model:
    """Return the payload of a call, or raise InvalidArgument saying which field is wrong."""
    try:
        return model(**fields)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidArgument(f"{where}: {first['msg']}") from None
