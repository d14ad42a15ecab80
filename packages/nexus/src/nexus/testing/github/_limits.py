"""Where GitHub's limits and failures live: what a test orders, and which request it meets.

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

import time
from collections import deque
from dataclasses import dataclass

from nexus.testing.github._errors import RefusedError

_PAGE = "/overview/rate-limits-for-the-rest-api"


@dataclass(frozen=True, kw_only=True)
class SecondaryLimit:
    """Too much at once: 403, or 429, with ``Retry-After``; nothing happens."""

    retry_after_s: int = 1
    status: int = 403


@dataclass(frozen=True, kw_only=True)
class ServerFails:
    """A status like 502 with a page instead of JSON; ``late`` if it had its effect all the same."""

    status: int = 502
    late: bool = False


@dataclass(frozen=True, kw_only=True)
class Hangs:
    """No answer until the caller gives up; nothing happens."""


@dataclass(frozen=True, kw_only=True)
class CutAfter:
    """The connection breaks after it happened: the answer is lost."""


Fault = SecondaryLimit | ServerFails | Hangs | CutAfter


class Faults:
    """The faults that are ordered, in order."""

    def __init__(self) -> None:
        self._ordered: deque[Fault] = deque()

    def order(self, fault: Fault, times: int) -> None:
        """Have the next ``times`` requests fail so."""
        self._ordered.extend([fault] * times)

    def take(self) -> Fault | None:
        """Return the fault that a request meets, if any."""
        return self._ordered.popleft() if self._ordered else None


class PrimaryLimit:
    """So many requests an hour; the headers tell how many are left."""

    def __init__(self, limit: int = 5000) -> None:
        self.limit = limit
        self.remaining = limit
        self.resets_at = int(time.time()) + 3600

    @property
    def headers(self) -> dict[str, str]:
        """What every answer carries."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.resets_at),
            "X-RateLimit-Used": str(self.limit - self.remaining),
            "X-RateLimit-Resource": "core",
        }

    def spend(self) -> None:
        """Count a request.

        Raises:
            RefusedError: none was left.
        """
        if self.remaining == 0:
            message = "API rate limit exceeded for user ID 1."
            raise RefusedError(403, message, page=_PAGE, headers=self.headers)
        self.remaining -= 1


def secondary(fault: SecondaryLimit) -> RefusedError:
    """Return what is said to who does too much at once."""
    message = (
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    )
    headers = {"Retry-After": str(fault.retry_after_s)}
    page = f"{_PAGE}#about-secondary-rate-limits"
    return RefusedError(fault.status, message, page=page, headers=headers)
