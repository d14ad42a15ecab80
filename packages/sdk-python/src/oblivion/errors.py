"""Where every error of the SDK lives.

::

    OblivionError                      retryable: may the same action succeed later, unchanged?
    |-- ConfigurationError             a setting is wrong (also a ValueError)
    |   `-- ConfigurationTypeError     a setting has the wrong type (also a TypeError)
    |-- InvalidArgument                a call's argument is wrong (also a ValueError)
    |   `-- InvalidArgumentType        a call's argument has the wrong type (also a TypeError)
    |-- InvalidHandlerError            a function cannot serve as this handler (also a TypeError)
    |-- UsageError                     a call at the wrong moment (also a RuntimeError)
    |   |-- NotConnectedError          before connect() or after the end of the session
    |   `-- AlreadyConnectedError      connect() while a session lives
    |-- ConnectError                   the session could not be opened
    |   |-- NexusUnreachable           no usable answer from the URL [retryable]
    |   `-- ConnectRefused             Nexus answered no; ``code`` says why
    |       |-- AuthenticationFailed   client id, secret or token not accepted
    |       |-- AgentPending           an admin has not approved the agent yet
    |       |-- AgentRejected          an admin rejected the agent
    |       |-- AgentDisabled          the agent is banned or disabled
    |       `-- ProtocolUnsupported    this SDK and this Nexus speak different versions
    |-- SessionEnded                   the session is over
    |   |-- Disconnected               disconnect() ended it while the call waited
    |   |-- ConnectionLost             the connection was cut and auto_reconnect is off [retryable]
    |   `-- SessionSuperseded          a newer session of the same agent took over
    |-- CallRefused                    Nexus refused a call; ``code`` says why
    |   |-- LeaseLost                  the task is not, or no longer, this agent's
    |   |-- InvalidTransition          the task cannot move there from where it is
    |   |-- NotFound                   no such task, or none this agent may see
    |   |-- Conflict                   the state of Nexus speaks against it
    |   |   |-- AlreadyClaimed         another agent was first
    |   |   |-- ClientIdTaken          another agent has this client id
    |   |   `-- NoFreeSlot             the agent already has max_concurrency tasks
    |   |-- Forbidden                  the agent may not do this
    |   |   `-- RegistrationTokenRefused  unknown, expired, used up or revoked; ``code`` says which
    |   |-- PayloadRefused             Nexus could not accept the arguments
    |   |-- RateLimited                too many calls [retryable]
    |   `-- Unavailable                Nexus cannot do it just now [retryable]
    |-- QueueOverflow                  too many calls wait for Nexus [retryable]
    |-- HumanTimeout                   nobody answered in time (also a TimeoutError)
    `-- ProtocolViolation              Nexus said something that the protocol does not allow
"""


class OblivionError(Exception):
    """The root of the tree: catch it to catch everything the SDK raises on purpose."""

    retryable: bool = False
    """True when the same action, unchanged, may succeed later."""

    def __init__(self, message: str = "", *, retryable: bool | None = None) -> None:
        super().__init__(message)
        if retryable is not None:
            self.retryable = retryable


class ConfigurationError(OblivionError, ValueError):
    """A setting is wrong; the message says which one and what to change."""


class ConfigurationTypeError(ConfigurationError, TypeError):
    """A setting has the wrong type."""


class InvalidArgument(OblivionError, ValueError):
    """An argument of a call is wrong; nothing was sent."""


class InvalidArgumentType(InvalidArgument, TypeError):
    """An argument of a call has the wrong type; nothing was sent."""


class InvalidHandlerError(OblivionError, TypeError):
    """The decorated object cannot serve as this handler."""


class UsageError(OblivionError, RuntimeError):
    """The call is right, the moment is wrong."""


class NotConnectedError(UsageError):
    """There is no session: ``connect()`` was not called, or the session has ended."""


class AlreadyConnectedError(UsageError):
    """There is a session already."""


class ConnectError(OblivionError):
    """The session could not be opened."""


class NexusUnreachable(ConnectError):
    """Nothing at the URL answered as a Nexus would."""

    retryable = True


class CodedError(OblivionError):
    """An answer of Nexus that carries a stable ``code``; a base, never raised itself."""

    def __init__(
        self, message: str = "", *, code: str = "unknown", retryable: bool | None = None
    ) -> None:
        super().__init__(message, retryable=retryable)
        self.code = code


class ConnectRefused(CodedError, ConnectError):
    """Nexus refused the connection; ``code`` is the protocol's word for the reason."""


class AuthenticationFailed(ConnectRefused):
    """Client id and secret, or the token made from them, were not accepted."""


class AgentPending(ConnectRefused):
    """The agent is registered and waits for an admin's approval."""


class AgentRejected(ConnectRefused):
    """An admin rejected the agent."""


class AgentDisabled(ConnectRefused):
    """An admin disabled or banned the agent."""


class ProtocolUnsupported(ConnectRefused):
    """This SDK and this Nexus have no protocol version in common."""


class SessionEnded(OblivionError):
    """The session is over; what waited for an answer gets none."""


class Disconnected(SessionEnded):
    """``disconnect()`` ended the session while the call waited."""


class ConnectionLost(SessionEnded):
    """The connection was cut and ``auto_reconnect`` is off."""

    retryable = True


class SessionSuperseded(SessionEnded):
    """A newer session of the same agent took over; this one does not come back."""


class CallRefused(CodedError):
    """Nexus refused a call; ``code`` is the protocol's word for the reason."""


class LeaseLost(CallRefused):
    """The task is not, or no longer, leased to this agent."""


class InvalidTransition(CallRefused):
    """The task cannot move to the wished status from the one it has."""


class NotFound(CallRefused):
    """There is no such thing, or this agent may not see it."""


class Conflict(CallRefused):
    """The state of Nexus speaks against the call."""


class AlreadyClaimed(Conflict):
    """Another agent claimed the task first."""


class ClientIdTaken(Conflict):
    """Another agent has this client id; choose another one."""


class NoFreeSlot(Conflict):
    """The agent already holds as many tasks as it announced."""


class Forbidden(CallRefused):
    """The agent may not do this."""


class RegistrationTokenRefused(Forbidden):
    """The registration token lets nobody in; ask an admin for another one."""


class PayloadRefused(CallRefused):
    """Nexus could not accept the arguments of the call."""


class RateLimited(CallRefused):
    """The agent calls too often."""

    retryable = True


class Unavailable(CallRefused):
    """Nexus cannot do it just now."""

    retryable = True


class QueueOverflow(OblivionError):
    """More calls wait for Nexus than the bound allows; the refused one was not kept."""

    retryable = True


class HumanTimeout(OblivionError, TimeoutError):
    """Nobody answered the question in time; the task is in progress again."""


class ProtocolViolation(OblivionError):
    """Nexus said something that the protocol does not allow."""
