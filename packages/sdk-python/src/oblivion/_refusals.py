"""Where the refusals of Nexus become typed errors: connects, calls and HTTP answers alike."""

from pydantic import ValidationError

from oblivion._json import as_object
from oblivion.errors import (
    AgentDisabled,
    AgentPending,
    AgentRejected,
    AlreadyClaimed,
    AuthenticationFailed,
    CallRefused,
    ClientIdTaken,
    Conflict,
    ConnectRefused,
    Forbidden,
    InvalidTransition,
    LeaseLost,
    NoFreeSlot,
    NotFound,
    PayloadRefused,
    ProtocolUnsupported,
    RateLimited,
    RegistrationTokenRefused,
    Unavailable,
)
from oblivion.protocol import CallError, ErrorCode, Problem

_CONNECTS: dict[str, type[ConnectRefused]] = {
    ErrorCode.UNAUTHORIZED: AuthenticationFailed,
    ErrorCode.TOKEN_EXPIRED: AuthenticationFailed,
    "invalid_client": AuthenticationFailed,
    ErrorCode.AGENT_PENDING: AgentPending,
    ErrorCode.AGENT_REJECTED: AgentRejected,
    ErrorCode.AGENT_DISABLED: AgentDisabled,
    ErrorCode.PROTOCOL_UNSUPPORTED: ProtocolUnsupported,
}

_CALLS: dict[str, type[CallRefused]] = {
    ErrorCode.LEASE_LOST: LeaseLost,
    ErrorCode.INVALID_TRANSITION: InvalidTransition,
    ErrorCode.NOT_FOUND: NotFound,
    ErrorCode.CONFLICT: Conflict,
    ErrorCode.ALREADY_CLAIMED: AlreadyClaimed,
    ErrorCode.NO_FREE_SLOT: NoFreeSlot,
    ErrorCode.FORBIDDEN: Forbidden,
    ErrorCode.INVALID_PAYLOAD: PayloadRefused,
    ErrorCode.RATE_LIMITED: RateLimited,
    ErrorCode.UNAVAILABLE: Unavailable,
    ErrorCode.REGISTRATION_TOKEN_UNKNOWN: RegistrationTokenRefused,
    ErrorCode.REGISTRATION_TOKEN_EXPIRED: RegistrationTokenRefused,
    ErrorCode.REGISTRATION_TOKEN_USED_UP: RegistrationTokenRefused,
    ErrorCode.REGISTRATION_TOKEN_REVOKED: RegistrationTokenRefused,
    ErrorCode.CLIENT_ID_TAKEN: ClientIdTaken,
}

_STATUSES: dict[int, type[CallRefused]] = {
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: PayloadRefused,
    429: RateLimited,
    503: Unavailable,
}

_TOKEN_ANSWERS: dict[str, type[ConnectRefused]] = {
    "disabled": AgentDisabled,
    "banned": AgentDisabled,
    "rejected": AgentRejected,
    "pending": AgentPending,
}
"""For servers that send no code, by their words; "pending" may stand in the reason of another."""

RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses after which the same request may succeed later."""


def refused_connect(data: object) -> ConnectRefused:
    """Return the error for a ``connect_error``, whose data holds ``{code, message, retryable}``.

    An answer without a known form (from a proxy, say) counts as retryable.
    """
    refusal = _find_refusal(data)
    if refusal is None:
        return ConnectRefused(f"Nexus refused the connection: {data!r:.200}", retryable=True)
    kind = _CONNECTS.get(refusal.code, ConnectRefused)
    message = refusal.message or f"Nexus refused the connection: {refusal.code}"
    return kind(message, code=refusal.code, retryable=refusal.retryable)


def refused_token(status: int, body: object) -> ConnectRefused:
    """Return the error for an answer of the token endpoint (RFC 6749, section 5.2)."""
    answer = as_object(body)
    code = str(answer.get("code") or answer.get("error") or "unknown")
    said = str(answer.get("error_description") or answer.get("detail") or "")
    kind = _CONNECTS.get(code) or ConnectRefused
    for word, special in _TOKEN_ANSWERS.items():
        if kind in {ConnectRefused, AuthenticationFailed} and word in said.lower():
            kind, code = special, f"agent_{word}"
    if status == 401 and kind is ConnectRefused:
        kind = AuthenticationFailed
    message = said or f"the token endpoint answered {status} {code}"
    if kind is AuthenticationFailed:
        message = f"client_id or client_secret was not accepted: {message}"
    return kind(message, code=code, retryable=status in RETRYABLE_STATUSES)


def refused_call(answer: object) -> CallRefused | None:
    """Return the error in the acknowledgement of a call, or None if it is not a refusal."""
    refusal = _as_refusal(as_object(answer).get("error"))
    if refusal is None:
        return None
    kind = _CALLS.get(refusal.code, CallRefused)
    message = refusal.message or f"Nexus refused the call: {refusal.code}"
    return kind(message, code=refusal.code, retryable=refusal.retryable)


def refused_request(status: int, body: object) -> CallRefused | ConnectRefused:
    """Return the error for an HTTP answer with problem details (RFC 9457), or any other."""
    try:
        problem = Problem.model_validate(body)
    except ValidationError:
        problem = Problem(status=status)
    message = problem.detail or problem.title or f"Nexus answered HTTP {status}"
    code = problem.code or str(status)
    retryable = status in RETRYABLE_STATUSES
    if status == 401:
        return AuthenticationFailed(message, code=code, retryable=False)
    kind = _CALLS.get(code) or _STATUSES.get(status, CallRefused)
    return kind(message, code=code, retryable=retryable)


def _find_refusal(data: object) -> CallError | None:
    """Look where servers put it: in ``data``, beside the message, or as the message itself."""
    said = as_object(data)
    for place in (said.get("data"), said, said.get("message")):
        refusal = _as_refusal(place)
        if refusal is not None:
            return refusal
    return None


def _as_refusal(value: object) -> CallError | None:
    try:
        return CallError.model_validate(value)
    except ValidationError:
        return None
