"""Where the life of a tool call is decided: its states, its moves, and what binds an approval.

::

    received --------------------------------> running --> answered --> done, failed
        |                                         ^ |
        v                                         | +--> done, failed, timed_out, unknown
    pending_approval --> decided -----------------+
        |                   |
        +--> expired        +--> denied

Whoever asks or answers only changes the state; Nexus looks after whatever is ``LOOKED_AFTER``. A
call is judged when it is received, and once more when a person has approved it: what changed
meanwhile counts. One that is refused, or whose time is over before it began, ends where it stands.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from oblivion.protocol import ToolCode


class CallState(StrEnum):
    """Where a tool call stands."""

    RECEIVED = "received"
    PENDING_APPROVAL = "pending_approval"
    DECIDED = "decided"
    RUNNING = "running"
    ANSWERED = "answered"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    DENIED = "denied"
    EXPIRED = "expired"
    TIMED_OUT = "timed_out"
    UNKNOWN = "unknown"


LOOKED_AFTER = frozenset({CallState.RECEIVED, CallState.DECIDED, CallState.ANSWERED})
"""Where it is Nexus's turn."""

OPEN_STATES = LOOKED_AFTER | {CallState.PENDING_APPROVAL, CallState.RUNNING}
"""Where a call has no answer yet."""

FINAL_STATES = frozenset(CallState) - OPEN_STATES

DEFAULT_TIMEOUT_MS = 60_000
GRACE_MS = 5_000
"""How much later than due an answer may come before others give a call up."""

_ENDS = {
    ToolCode.DENIED: CallState.DENIED,
    ToolCode.APPROVAL_EXPIRED: CallState.EXPIRED,
    ToolCode.TIMED_OUT: CallState.TIMED_OUT,
    ToolCode.OUTCOME_UNKNOWN: CallState.UNKNOWN,
    ToolCode.TOOL_FAILED: CallState.FAILED,
    ToolCode.TOOL_UNAVAILABLE: CallState.FAILED,
    ToolCode.RESULT_TOO_LARGE: CallState.FAILED,
    ToolCode.RESULT_REFUSED: CallState.FAILED,
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a call came to: ``data``, or an ``error`` with its ``code``."""

    data: Any = None
    error: str | None = None
    code: ToolCode | None = None

    @property
    def state(self) -> CallState:
        """Where the call ends."""
        return CallState.DONE if self.code is None else _ENDS.get(self.code, CallState.REFUSED)


def canonical(params: Any) -> bytes:
    """Return JSON in one form whatever the order of its keys: equal values, equal bytes."""
    return orjson.dumps(params, option=orjson.OPT_SORT_KEYS)


def params_hash(tool: str, action: str, params: Any) -> str:
    """Return what names exactly this call of exactly this action."""
    named = canonical([tool, action]) + b"\n" + canonical(params)
    return hashlib.sha256(named).hexdigest()


INTERRUPTED = Outcome(
    error="Nexus was restarted while the tool was at work, so it is not known whether it had its "
    "effect; look before asking again",
    code=ToolCode.OUTCOME_UNKNOWN,
)
"""What is told of a call whose node died at work."""
