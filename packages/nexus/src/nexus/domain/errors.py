"""Where the error tree of Nexus lives; the edges map it to problem details and to acks.

::

    NexusError
    ├── Unauthenticated       401  no, wrong or expired credentials
    │   └── NotSigned              it does not come from the service that it says it is of
    ├── Forbidden             403  known, but not allowed
    │   └── TokenRefused           the registration token lets nobody in; ``code`` says why
    ├── NotFound              404  absent, or another tenant's
    ├── Conflict              409  the state has moved on
    │   ├── AlreadyClaimed         somebody else holds the task
    │   ├── ClientIdTaken          another client has this client id
    │   ├── InvalidTransition      the task cannot go there from where it is
    │   ├── LeaseLost              the attempt is over; a newer one may run
    │   ├── NoFreeSlot             the agent already holds all it may
    │   └── NotReady               the session has not sent ``agent_ready``
    ├── Invalid               422  the request itself is wrong; ``problems`` say where
    ├── TooManyAttempts       429  too much went wrong; try again later
    └── Unavailable           503  try again later
        └── Stopped                an admin has stopped all agents
"""

from collections.abc import Sequence
from typing import ClassVar

from oblivion.protocol import ErrorCode


class NexusError(Exception):
    """A refusal: a stable ``code``, an HTTP ``status``, a message that says what to change."""

    code: str = ErrorCode.INTERNAL
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Unauthenticated(NexusError):
    """The credentials are missing, wrong or expired."""

    code: str = ErrorCode.UNAUTHORIZED
    status = 401


class NotSigned(Unauthenticated):
    """The request does not prove that it comes from the service that it says it is of."""

    code: str = "not_signed"


class Forbidden(NexusError):
    """The caller is known but may not do this."""

    code: str = ErrorCode.FORBIDDEN
    status = 403


class TokenRefused(Forbidden):
    """The registration token is unknown, expired, used up or revoked; ``code`` says which."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotFound(NexusError):
    """The thing does not exist for this caller."""

    code: str = ErrorCode.NOT_FOUND
    status = 404


class Conflict(NexusError):
    """The state does not allow it (any more)."""

    code: str = ErrorCode.CONFLICT
    status = 409


class AlreadyClaimed(Conflict):
    """Somebody else holds the task, or it has ended."""

    code: str = ErrorCode.ALREADY_CLAIMED


class ClientIdTaken(Conflict):
    """Another client has this client id."""

    code: str = ErrorCode.CLIENT_ID_TAKEN


class InvalidTransition(Conflict):
    """The task cannot go there from where it is."""

    code: str = ErrorCode.INVALID_TRANSITION


class LeaseLost(Conflict):
    """The attempt that this write belongs to is over."""

    code: str = ErrorCode.LEASE_LOST


class NoFreeSlot(Conflict):
    """The agent already holds as many tasks as it said it can."""

    code: str = ErrorCode.NO_FREE_SLOT


class NotReady(Conflict):
    """The session has not announced itself with ``agent_ready``."""

    code: str = ErrorCode.NOT_READY


class Invalid(NexusError):
    """The request itself is wrong; ``problems`` are pairs of a JSON Pointer and what to change."""

    code: str = ErrorCode.INVALID_PAYLOAD
    status = 422

    def __init__(self, message: str, problems: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class Unavailable(NexusError):
    """Nexus cannot do this right now; the same request may succeed in ``retry_after`` seconds."""

    code: str = ErrorCode.UNAVAILABLE
    status = 503
    retryable = True

    def __init__(self, message: str, retry_after: int = 2) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Stopped(Unavailable):
    """All agents of the tenant are stopped until an admin resumes them."""

    code: str = ErrorCode.AGENTS_STOPPED

    def __init__(self, message: str, retry_after: int = 30) -> None:
        super().__init__(message, retry_after)


class TooManyAttempts(NexusError):
    """Too much that this caller tried was wrong; it may try again in ``retry_after`` seconds."""

    code: str = ErrorCode.RATE_LIMITED
    status = 429
    retryable = True

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after
