"""Where what was just committed is kept for those who are about to send it.

The store is the truth; this spares the pumps of this node a query for each event. It may forget
anything: whoever misses a number reads the store.
"""

from collections.abc import Iterable, Sequence

from nexus.store.statement import Row

MOST_KEPT = 64
"""Events an agent; one that has more to come reads them from the store."""


class RecentEvents:
    """The newest events of the agents that somebody here listens for; of one event loop."""

    def __init__(self) -> None:
        self._kept: dict[str, list[Row]] = {}

    def expect(self, agent_id: str) -> None:
        """Keep what comes for this agent from now on."""
        self._kept.setdefault(agent_id, [])

    def forget(self, agent_id: str) -> None:
        """Keep nothing for this agent any more."""
        self._kept.pop(agent_id, None)

    def add(self, events: Iterable[Row]) -> None:
        """Note events that are on disk now."""
        for event in events:
            kept = self._kept.get(event["agent_id"])
            if kept is not None:
                if len(kept) >= MOST_KEPT:
                    kept.clear()
                kept.append(event)

    def take(self, agent_id: str, *, after: int) -> Sequence[Row] | None:
        """Return what follows ``after`` without a hole; None where the store must be asked."""
        kept = self._kept.get(agent_id)
        if not kept:
            return None
        self._kept[agent_id] = []
        fresh = [event for event in kept if event["seq"] > after]
        follows = [event["seq"] for event in fresh] == list(
            range(after + 1, after + 1 + len(fresh))
        )
        return fresh if follows else None
