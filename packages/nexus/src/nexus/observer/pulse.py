"""Where the last hour is kept in mind, so that each look reads what is new of it alone."""

from nexus.services import history
from nexus.services.history import MINUTE_MS, Minute
from nexus.store.tx import Tx

SHOWN = 60
"""So many minutes are shown."""

_SETTLED_MS = 10_000
"""So long after its end a minute cannot change any more."""


class Pulse:
    """The last hour of each tenant that somebody looked at; a few KiB each."""

    def __init__(self) -> None:
        self._known: dict[str, dict[int, Minute]] = {}

    def minutes(self, tx: Tx, tenant_id: str) -> list[Minute]:
        """Return the last hour, minute by minute; the last one goes on."""
        now = tx.now // MINUTE_MS
        first = now - SHOWN + 1
        known = {
            number: minute
            for number, minute in self._known.get(tenant_id, {}).items()
            if first <= number <= now
        }
        begin = max(known, default=first - 1) + 1
        fresh = history.minutes(tx, tenant_id, begin, now)
        settled = [one for one in fresh if (one.number + 1) * MINUTE_MS + _SETTLED_MS <= tx.now]
        # In one step: other threads read, too.
        self._known[tenant_id] = known | {one.number: one for one in settled}
        shown = known | {one.number: one for one in fresh}
        return [shown.get(number, Minute(number=number)) for number in range(first, now + 1)]
