"""Where it is counted how much of something a name may still do: pure, the time comes in."""

from collections import OrderedDict
from dataclasses import dataclass
from math import ceil

_MINUTE_MS = 60_000
MOST_NAMES = 20_000


@dataclass(frozen=True, slots=True)
class _Level:
    left: float
    at_ms: int


class Budgets:
    """A budget for each name: so many at once, and as many again in every minute.

    Whoever has used nothing for a minute is as good as new, and is forgotten. No more than
    ``most`` names are remembered: those that were counted last.
    """

    def __init__(self, per_minute: int, *, most: int = MOST_NAMES) -> None:
        self._per_minute = per_minute
        self._most = most
        self._levels: OrderedDict[str, _Level] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def left(self, name: str, now_ms: int) -> float:
        """Return how much the name may still do now."""
        level = self._levels.get(name)
        if level is None:
            return self._per_minute
        refilled = max(now_ms - level.at_ms, 0) * self._per_minute / _MINUTE_MS
        return min(level.left + refilled, self._per_minute)

    def wait_s(self, name: str, now_ms: int) -> int:
        """Return for how many seconds the name has to wait; 0 where it need not."""
        missing = 1 - self.left(name, now_ms)
        return 0 if missing <= 0 else max(ceil(missing * 60 / self._per_minute), 1)

    def spend(self, name: str, now_ms: int, amount: float = 1) -> None:
        """Count something that the name did, as far as it could; less than nothing gives back."""
        level = min(max(self.left(name, now_ms) - amount, 0), self._per_minute)
        self._levels.pop(name, None)
        if level < self._per_minute:
            self._levels[name] = _Level(level, now_ms)
        while len(self._levels) > self._most:
            self._levels.popitem(last=False)
