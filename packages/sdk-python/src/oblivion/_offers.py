"""Where offered tasks wait to be claimed: the most urgent first, then the oldest.

All who were offered the same tasks would claim the same one first, and all but one in vain. So an
agent that loses a claim looks further down the list, twice as far each time, and comes back as it
wins: agents that race spread out, and one that is alone keeps to the order.
"""

import heapq
import random
from collections.abc import Callable
from datetime import UTC, datetime

from oblivion.protocol import TaskAvailablePayload

_NEVER = datetime.max.replace(tzinfo=UTC)


WIDEST = 32
"""How far down the list an agent looks that keeps losing."""


class Offers:
    """A bounded pool; beyond the bound the least urgent offer is forgotten.

    ``choose`` picks a number below the one it is given; chance, unless a test decides.
    """

    def __init__(self, bound: int, choose: Callable[[int], int] = random.randrange) -> None:
        self._bound = bound
        self._choose = choose
        self._spread = 1
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

    def take(self) -> TaskAvailablePayload:
        """Remove and return the most urgent, then oldest offer, or one close to it.

        The pool must not be empty.
        """
        best = heapq.nsmallest(self._spread, self._pool.values(), key=_rank)
        chosen = best[self._choose(len(best))]
        return self._pool.pop(chosen.task_id)

    def lost(self) -> None:
        """Note that somebody else was quicker."""
        self._spread = min(self._spread * 2, WIDEST)

    def won(self) -> None:
        """Note that the claim was granted."""
        self._spread = max(self._spread // 2, 1)


def _rank(offer: TaskAvailablePayload) -> tuple[int, datetime, str]:
    return offer.priority, offer.created_at or _NEVER, offer.task_id
