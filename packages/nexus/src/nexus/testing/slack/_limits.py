"""Where Slack's rate limits live: buckets that fill again with time (pure).

https://docs.slack.dev/apis/web-api/rate-limits: so many calls a minute by the tier of a method,
and about one posted message a second in each channel, with short bursts.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How strict this Slack is; the defaults are those of the real one."""

    paced: bool = True
    """Whether calls are limited in their rate at all."""
    posts_per_s: float = 1.0
    """Messages that an app may post in a channel each second."""
    posts_burst: int = 3
    """Messages that it may post there at once after a pause."""
    retry_after_s: tuple[float, ...] = (0.0, 60.0, 300.0)
    """When an event that was not answered is sent again, counted from the try before."""
    answer_within_s: float = 3.0
    """How long an app may take to answer; it passes in real time, whatever the clock is."""


class Buckets:
    """One bucket of tokens per key."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, int]] = {}

    def take(self, key: str, now_ms: int, *, holds: float, per_s: float) -> int:
        """Take one token and return 0, or return in how many whole seconds there will be one."""
        left, since = self._left.get(key, (holds, now_ms))
        left = min(holds, left + max(0, now_ms - since) / 1000 * per_s)
        enough = left >= 1
        self._left[key] = (left - 1 if enough else left, now_ms)
        return 0 if enough else max(1, math.ceil((1 - left) / per_s))
