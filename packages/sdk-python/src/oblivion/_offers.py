"""Where offered tasks wait to be claimed: the most urgent first, then the oldest. Pure."""

from datetime import UTC, datetime

from oblivion.protocol import TaskAvailablePayload

_NEVER = datetime.max.replace(tzinfo=UTC)


class Offers:
    """A bounded pool; beyond the bound the least urgent offer is forgotten."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._pool: dict[str, TaskAvailablePayload] = {}

    def __len__(self) -> int:
        return len(self._pool)

    def add(self, offer: TaskAvailablePayload) -> None:
        """Keep an offer, or replace what is known of it."""
        self._pool[offer.task_id] = offer
        if len(self._pool) > self._bound:
            worst = max(self._pool.values(), key=_rank)
            del self._pool[worst.task_id]

    def drop(self, task_id: str) -> None:
        """Forget an offer that is gone."""
        self._pool.pop(task_id, None)

    def take_best(self) -> TaskAvailablePayload:
        """Remove and return the most urgent, then oldest offer; the pool must not be empty."""
        best = min(self._pool.values(), key=_rank)
        return self._pool.pop(best.task_id)


def _rank(offer: TaskAvailablePayload) -> tuple[int, datetime, str]:
    return offer.priority, offer.created_at or _NEVER, offer.task_id
