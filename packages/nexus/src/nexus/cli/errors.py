"""Where the errors of the command line live, each with the exit code that scripts see.

::

    CliError
    ├── Failed          1  the operation did not succeed: not found, conflict, a check that failed
    ├── BadUsage        2  wrong options, input, configuration or credentials
    ├── NotReachable    3  no Nexus answers, or it asks to come back later
    └── Interrupted   130  the user pressed Ctrl-C

An error that is none of these is ours: exit code 70 (``EX_SOFTWARE`` of sysexits.h).
"""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the command's end means."""

    OK = 0
    FAILED = 1
    BAD_USAGE = 2
    NOT_REACHABLE = 3
    INTERNAL = 70
    INTERRUPTED = 130


class CliError(Exception):
    """A refusal that the user reads as one line; the message says what to change."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Failed(CliError):
    """The operation did not succeed, though it was asked for correctly."""


class BadUsage(CliError):
    """The command line, an input file, the configuration or the credentials are wrong."""

    exit_code = ExitCode.BAD_USAGE


class NotReachable(CliError):
    """No Nexus answers; the same command may succeed later."""

    exit_code = ExitCode.NOT_REACHABLE


class Interrupted(CliError):
    """The user ended the command; what it had finished stays."""

    exit_code = ExitCode.INTERRUPTED
