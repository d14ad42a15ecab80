"""Where what was just committed is kept for those who are about to send it.

The store is the truth; this spares the pumps of this node a query for each event. It may forget
anything: whoever misses a number reads the store.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import itemgetter

from nexus.store.statement import Row

_SEQ = itemgetter("seq")
MOST_KEPT = 64
"""Events an agent; one that has more to come reads them from the store."""


class RecentEvents:
    """The newest events of the agents that somebody here listens for; of one event loop."""

    def __init__(self) -> None:
        self._listeners: Counter[str] = Counter()
        self._kept: dict[str, list[Row]] = {}

    def expect(self, agent_id: str) -> None:
        """Keep what comes for this agent from now on, until it was forgotten as often."""
        self._listeners[agent_id] += 1

    def forget(self, agent_id: str) -> None:
        """Keep nothing for this agent any more, unless somebody else expects it."""
        self._listeners[agent_id] -= 1
        if self._listeners[agent_id] <= 0:
            del self._listeners[agent_id]
            self._kept.pop(agent_id, None)

    def add(self, events: Iterable[Row]) -> None:
        """Note events that are on disk now."""
        for event in events:
            agent_id = event["agent_id"]
            if agent_id in self._listeners:
                kept = self._kept.setdefault(agent_id, [])
                if len(kept) >= MOST_KEPT:
                    kept.clear()
                kept.append(event)

    def take(self, agent_id: str, *, after: int) -> Sequence[Row] | None:
        """Return what follows ``after`` without a hole; None where the store must be asked."""
        kept = self._kept.pop(agent_id, ())
        # Transactions on several threads may be heard of in another order than they committed.
        fresh = sorted((event for event in kept if event["seq"] > after), key=_SEQ)
        if not fresh:
            return None
        gapless = fresh[0]["seq"] == after + 1 and fresh[-1]["seq"] == after + len(fresh)
        return fresh if gapless else None
