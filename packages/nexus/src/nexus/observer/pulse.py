"""Where the last hour is kept in mind, so that each look reads what is new of it alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nexus.services import history
from nexus.services.history import MINUTE_MS, Minute
from nexus.store.tx import Tx

SHOWN = 60
"""So many minutes are shown."""

MUCH = 2_000
"""Where so many tasks were made and done, older minutes are left to the next look."""

_AT_ONCE = 5
_SETTLED_MS = 10_000
"""So long after its end a minute cannot change any more."""


@dataclass(frozen=True, kw_only=True)
class Hour:
    """An hour minute by minute; of one that is not whole, older minutes are still to be read."""

    minutes: list[Minute]
    is_whole: bool


class Pulse:
    """The last hour of each tenant that somebody looked at; a few KiB each."""

    def __init__(self) -> None:
        self._known: dict[str, dict[int, Minute]] = {}

    def hour(self, tx: Tx, tenant_id: str) -> Hour:
        """Return the last hour; its last minute goes on. Of a busy one, each look reads a part."""
        now = tx.now // MINUTE_MS
        wanted = range(now - SHOWN + 1, now + 1)
        kept = self._known.get(tenant_id, {})
        known = {number: minute for number, minute in kept.items() if number in wanted}
        fresh = _read(tx, tenant_id, [number for number in wanted if number not in known])
        settled = [one for one in fresh if (one.number + 1) * MINUTE_MS + _SETTLED_MS <= tx.now]
        # In one step: other threads read, too.
        self._known[tenant_id] = known | {one.number: one for one in settled}
        shown = known | {one.number: one for one in fresh}
        return Hour(
            minutes=[shown.get(number, Minute(number=number)) for number in wanted],
            is_whole=len(shown) == SHOWN,
        )


def _read(tx: Tx, tenant_id: str, missing: Sequence[int]) -> list[Minute]:
    """Return minutes that are missing, the newest first, until that was much.

    The newest go on and are missing each time, so at least one stretch more is read.
    """
    found: list[Minute] = []
    for place, (first, last) in enumerate(_stretches(missing)):
        found += history.minutes(tx, tenant_id, first, last)
        if place and sum(one.created + one.done for one in found) >= MUCH:
            break
    return found


def _stretches(missing: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of minutes in a row, from the newest on, not too many at once."""
    stretch: list[int] = []
    for number in reversed(missing):
        if stretch and (number != stretch[-1] - 1 or len(stretch) == _AT_ONCE):
            yield stretch[-1], stretch[0]
            stretch = []
        stretch.append(number)
    if stretch:
        yield stretch[-1], stretch[0]
