"""Where the times and bounds live that several parts must agree on."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Durations in milliseconds; a lease outlives three missed heartbeats.

    ``keep_unheard_ms`` and ``most_unheard`` bound the events that wait for an agent that does not
    come for them.
    """

    heartbeat_interval_ms: int = 30_000
    lease_ms: int = 120_000
    keep_unheard_ms: int = 30 * 24 * 3600 * 1000
    most_unheard: int = 10_000

    @property
    def offline_after_ms(self) -> int:
        """How long an agent may be silent before it counts as offline."""
        return 3 * self.heartbeat_interval_ms


@dataclass(frozen=True, kw_only=True)
class GuessLimits:
    """How much a minute may go wrong before a caller has to wait.

    Attributes:
        at_address: wrong secrets for one client from one address.
        of_address: wrong secrets from one address.
        of_client: wrong secrets for one client.
        registrations: refused requests to register from one address.
    """

    at_address: int = 10
    of_address: int = 100
    of_client: int = 100
    registrations: int = 60
