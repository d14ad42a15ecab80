"""Where the times and bounds live that several parts must agree on."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Durations in milliseconds; a lease outlives three missed heartbeats."""

    heartbeat_interval_ms: int = 30_000
    lease_ms: int = 120_000

    @property
    def offline_after_ms(self) -> int:
        """How long an agent may be silent before it counts as offline."""
        return 3 * self.heartbeat_interval_ms
