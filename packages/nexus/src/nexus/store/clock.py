"""Where the time comes from unless a test brings its own."""

import time


def wall_clock() -> int:
    """Return the time in epoch milliseconds."""
    return time.time_ns() // 1_000_000
