"""Where a test may kill Nexus: named points between accept, commit, emit, acknowledge and record.

``NEXUS_FAILPOINT=commit.after:3`` ends the process, as a power cut would, the third time it comes
to ``commit.after``. Without the variable a point costs one comparison.
"""

import os
from itertools import count

NAMES = (
    "accept",  # a command came in, nothing is done yet
    "commit.before",  # its effects are written, not yet committed
    "commit.after",  # they are on disk, nobody was told
    "answer",  # the caller is about to be told
    "emit.before",  # an event was read, not yet sent
    "emit.after",  # it was handed to the connection
    "ack.before",  # its acknowledgement came in, not yet stored
    "ack.after",  # the acknowledgement is on disk
)
"""Every point, in the order that a task passes them."""

VARIABLE = "NEXUS_FAILPOINT"
EXIT_STATUS = 86
"""The exit status of a process that ended at a failpoint, and of no other."""


class FailpointError(Exception):
    """The variable names no point."""


def arm(value: str | None) -> None:
    """Arm the point that ``NAME`` or ``NAME:TIMES`` names and no other; None arms none.

    Raises:
        FailpointError: there is no such point.
    """
    global _name, _left
    name, _, times = (value or "").partition(":")
    if value is not None and (name not in NAMES or not (times or "1").isdecimal()):
        raise FailpointError(
            f"{VARIABLE}={value}: want NAME or NAME:TIMES, NAME one of {', '.join(NAMES)}"
        )
    _name, _left = name or None, count(int(times or 1) - 1, -1)


_name: str | None = None
_left = count()
arm(os.environ.get(VARIABLE) or None)


def reach(name: str) -> None:
    """End the process here, now and without clean-up, if this point is armed and its turn came."""
    if _name is not None and name == _name and next(_left) <= 0:
        os._exit(EXIT_STATUS)
