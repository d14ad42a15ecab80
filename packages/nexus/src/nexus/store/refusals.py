"""Where it is kept that the database refused, so that logs and probes can tell."""

import logging
import time
from collections.abc import Callable

KEPT_S = 60.0
"""For so long a refusal counts, and no other one is logged."""

_log = logging.getLogger("nexus.store")


class Refusals:
    """What the database refused last; small writes may succeed beside, so it ends by time alone."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._reason = ""
        self._until = float("-inf")
        self._logged_until = float("-inf")

    @property
    def recent(self) -> str | None:
        """Why the database refused within the last minute; None if it did not."""
        return self._reason if self._now() < self._until else None

    def note(self, reason: str) -> None:
        """Keep a refusal; of those of one minute the first is logged, and each other reason."""
        now = self._now()
        if now >= self._logged_until or reason != self._reason:
            self._logged_until = now + KEPT_S
            _log.error("database_refuses reason=%r", reason)
        self._reason, self._until = reason, now + KEPT_S
