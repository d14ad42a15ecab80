"""Where the life of a task is decided: which move is legal, and what an ended attempt leads to."""

from dataclasses import dataclass

from nexus.domain.errors import InvalidTransition
from oblivion.protocol import FINAL_STATUSES, HELD_STATUSES, TaskStatus

_HOLDER_MOVES = frozenset(
    {
        TaskStatus.IN_PROGRESS,
        TaskStatus.BLOCKED_ON_HUMAN,
        TaskStatus.DONE,
        TaskStatus.FAILED,
        TaskStatus.TODO,
    }
)


@dataclass(frozen=True, kw_only=True)
class AttemptEnd:
    """What becomes of a task whose attempt ended without success."""

    status: TaskStatus
    attempts_used: int
    retry_delay_ms: int = 0


def check_holder_move(current: TaskStatus, wanted: TaskStatus) -> None:
    """Refuse a move that the holder of a task cannot make.

    Raises:
        InvalidTransition: the task is not held, or ``wanted`` is not a holder's to set.
    """
    if current not in HELD_STATUSES or wanted not in _HOLDER_MOVES:
        raise InvalidTransition(
            f"a task that is {current} cannot become {wanted} by its agent; "
            f"an agent moves a task it holds to one of {', '.join(sorted(_HOLDER_MOVES))}"
        )


def check_person_move(current: TaskStatus, wanted: TaskStatus) -> None:
    """Refuse a move that no person can make: a finished task may only be retried.

    Raises:
        InvalidTransition: the move makes no sense from ``current``.
    """
    if wanted is TaskStatus.TODO and current in {TaskStatus.FAILED, TaskStatus.CANCELLED}:
        return
    if current in FINAL_STATUSES:
        raise InvalidTransition(
            f"the task has ended {current}; it cannot become {wanted}. "
            "Only FAILED and CANCELLED tasks can be retried"
        )
    if wanted is TaskStatus.CLAIMED:
        raise InvalidTransition("only an agent can claim a task")
    if wanted in HELD_STATUSES and current not in HELD_STATUSES:
        raise InvalidTransition(f"a task that no agent holds cannot become {wanted}")


def end_attempt(*, attempts_used: int, max_attempts: int, retry_delay_ms: int) -> AttemptEnd:
    """Decide whether a failed or lost attempt is retried or ends the task."""
    used = attempts_used + 1
    if used >= max_attempts:
        return AttemptEnd(status=TaskStatus.FAILED, attempts_used=used)
    return AttemptEnd(status=TaskStatus.TODO, attempts_used=used, retry_delay_ms=retry_delay_ms)
