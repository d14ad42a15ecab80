"""Where the exit codes live, and the errors that end the command with one of them."""

from enum import IntEnum

from oblivion.errors import (
    AuthenticationFailed,
    ConfigurationError,
    InvalidArgument,
    InvalidHandlerError,
    OblivionError,
)


class ExitCode(IntEnum):
    """What the command's end means; ``nexus`` has the same ones."""

    OK = 0
    """Done; a run has drained."""
    FAILED = 1
    """Nexus refuses the agent, a newer session took over, or the agent's code failed."""
    BAD_USAGE = 2
    """The command line, the configuration or the credentials are wrong."""
    NOT_REACHABLE = 3
    """No Nexus answers, or it asks to come back later."""
    INTERRUPTED = 130
    """Ctrl-C, before there was anything to drain."""


class CliError(Exception):
    """What the user reads as one line, and the code that the command ends with."""

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.BAD_USAGE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


_USAGE = (AuthenticationFailed, ConfigurationError, InvalidArgument, InvalidHandlerError)


def ended_by(error: OblivionError) -> CliError:
    """Return what an error of the SDK means for the command."""
    if isinstance(error, _USAGE):
        code = ExitCode.BAD_USAGE
    else:
        code = ExitCode.NOT_REACHABLE if error.retryable else ExitCode.FAILED
    return CliError(f"{type(error).__name__}: {error}", code)
