"""Where it is decided how often a delivery is tried, and how long it rests in between."""

from enum import StrEnum

MAX_TRIES = 20
"""With the pauses in between that is about an hour."""

FIRST_PAUSE_MS = 1_000
LONGEST_PAUSE_MS = 300_000

_MOST_DOUBLINGS = 16


class DeliveryStatus(StrEnum):
    """How a delivery stands."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


def pause_ms(tries: int, jitter: float) -> int:
    """Return how long a delivery rests after so many tries: 1 s, 2 s, 4 s ... at most 5 min.

    ``jitter`` in [0, 1) takes up to a quarter off, so that tries do not march in step.
    """
    doublings = min(max(tries - 1, 0), _MOST_DOUBLINGS)
    plain = min(FIRST_PAUSE_MS * 2**doublings, LONGEST_PAUSE_MS)
    return int(plain * (1 - jitter / 4))


def is_spent(tries: int) -> bool:
    """Say whether a delivery has been tried often enough."""
    return tries >= MAX_TRIES
