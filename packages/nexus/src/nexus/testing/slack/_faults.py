"""Where calls are made to fail: what a test orders, and which call it meets."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RateLimited:
    """HTTP 429 with ``Retry-After``; nothing happens."""

    retry_after_s: int = 1


@dataclass(frozen=True, kw_only=True)
class ServerFails:
    """An HTTP status like 500 with a page instead of JSON; nothing happens."""

    status: int = 500


@dataclass(frozen=True, kw_only=True)
class Refuses:
    """One of Slack's own errors, like ``fatal_error`` or ``message_limit_exceeded``."""

    error: str


@dataclass(frozen=True, kw_only=True)
class Hangs:
    """No answer until the caller gives up; nothing happens."""


@dataclass(frozen=True, kw_only=True)
class CutBefore:
    """The connection breaks before anything happens."""


@dataclass(frozen=True, kw_only=True)
class CutAfter:
    """The connection breaks after it happened: the answer is lost."""


@dataclass(frozen=True, kw_only=True)
class HangsAfter:
    """It happened, and there is no answer: time to end the caller between the two."""


Fault = RateLimited | ServerFails | Refuses | Hangs | CutBefore | CutAfter | HangsAfter

ANY = "*"
"""Stands for every method."""


class Faults:
    """The faults that are ordered, per method and in order."""

    def __init__(self) -> None:
        self._ordered: dict[str, deque[Fault]] = {}

    def order(self, method: str, fault: Fault, times: int) -> None:
        """Have the next ``times`` calls of a method fail so."""
        self._ordered.setdefault(method, deque()).extend([fault] * times)

    def clear(self) -> None:
        """Forget what was ordered."""
        self._ordered.clear()

    def take(self, method: str) -> Fault | None:
        """Return the fault that a call of the method meets, if any."""
        for name in (method, ANY):
            if waiting := self._ordered.get(name):
                return waiting.popleft()
        return None
