"""Where the pause before a retry is decided."""

FIRST_RETRY_MS = 1_000
LONGEST_RETRY_MS = 60_000


def retry_delay_ms(attempts_used: int, jitter: float) -> int:
    """Return the pause in milliseconds before the next attempt: 1 s, 2 s, 4 s ... at most 60 s.

    ``jitter`` in [0, 1) adds up to a quarter on top, so that retries do not march in step.
    """
    exponent = min(max(attempts_used, 0), 16)
    plain = min(FIRST_RETRY_MS * 2**exponent, LONGEST_RETRY_MS)
    return int(plain * (1 + jitter / 4))
