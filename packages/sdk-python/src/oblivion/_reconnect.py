"""Where the waiting between two connects is decided: pure, without a clock."""

from dataclasses import dataclass, replace

CAP_SECONDS = 300.0
"""The longest wait before jitter."""

STOPPED_CAP_SECONDS = 30.0
"""The same while an admin has stopped all agents: Nexus is there, and may let them in soon."""

JITTER = 0.2
"""The largest share that chance adds, so that a fleet does not come back in one moment."""


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Doubling waits from ``initial`` seconds: 5, 10, 20, 40 ... at most 300.

    A value: :meth:`next` returns the wait together with the backoff that follows it; a completed
    handshake starts again from a fresh one.
    """

    initial: float
    attempt: int = 0
    hint: float | None = None
    """What a draining server asked for: replaces the first wait."""
    cap: float = CAP_SECONDS

    def next(self, chance: float) -> "tuple[float, Backoff]":
        """Return the seconds to wait and the next state; ``chance`` is from 0 to 1."""
        base = self._base()
        later = Backoff(initial=self.initial, attempt=self.attempt + 1, cap=self.cap)
        return base * (1 + JITTER * chance), later

    def while_stopped(self, stopped: bool) -> "Backoff":
        """Return the backoff for a Nexus that has stopped all agents, or for any other."""
        return replace(self, cap=STOPPED_CAP_SECONDS if stopped else CAP_SECONDS)

    def _base(self) -> float:
        if self.attempt == 0 and self.hint is not None:
            return min(self.hint, self.cap)
        doublings = min(self.attempt, 64)
        return min(self.initial * 2.0**doublings, self.cap)
