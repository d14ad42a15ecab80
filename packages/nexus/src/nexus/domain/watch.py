"""Where it is decided which time does not count: nobody watched, or the clock was set.

``passed`` is always what the clock says has gone by, in milliseconds, since somebody watched it.
"""

NOTE_EVERY_MS = 5_000
"""How often it is noted that somebody watches."""

OUTAGE_MS = 20_000
"""No note for this long means that no agent could be heard either, or that the clock was set."""

SET_BACK_MS = 1_000
"""A clock that went back this far was set; less is how clocks are."""


def is_set_back(passed: int) -> bool:
    """Say whether the clock was set back."""
    return passed <= -SET_BACK_MS


def is_unwatched(passed: int) -> bool:
    """Say whether the time that passed is no measure of what agents did with it."""
    return passed >= OUTAGE_MS or is_set_back(passed)
