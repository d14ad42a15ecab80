"""Where a lean agent decides what to claim: as the SDK does, one for each free slot, and further
down the list of offers after each one that it lost."""

import random
from itertools import islice

_WIDEST = 32


class Race:
    """The offers that an agent knows, and its free slots."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._spread = 1
        self._offers: dict[str, None] = {}
        self._awaited: set[str] = set()

    def offered(self, task_id: str) -> None:
        """Know an offer; offers come by priority and age."""
        self._offers[task_id] = None

    def withdrawn(self, task_id: str) -> None:
        """Forget an offer that somebody took."""
        self._offers.pop(task_id, None)

    def next_claim(self) -> str | None:
        """Return a task to claim now; None when each free slot waits for a claim already."""
        if len(self._awaited) >= self._free or not self._offers:
            return None
        wanted = random.choice(list(islice(self._offers, self._spread)))
        del self._offers[wanted]
        self._awaited.add(wanted)
        return wanted

    def claimed(self, task_id: str, *, success: bool) -> None:
        """Note how a claim ended; a won task is awaited until it is assigned."""
        self._spread = max(1, self._spread // 2) if success else min(self._spread * 2, _WIDEST)
        if not success:
            self._awaited.discard(task_id)

    def assigned(self, task_id: str) -> None:
        """Note that a task takes a slot."""
        self._free -= 1
        self._offers.pop(task_id, None)
        self._awaited.discard(task_id)

    def slots_freed(self, count: int) -> None:
        """Note that tasks ended."""
        self._free += count
