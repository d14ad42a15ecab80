"""Where the closed word lists of the protocol live."""

from enum import StrEnum


class AgentStatus(StrEnum):
    """What an agent says about itself with ``update_status``."""

    IDLE = "idle"
    WORKING = "working"
    ERROR = "error"


class ConnectionStatus(StrEnum):
    """What a person sees of an agent: its own status while connected, ``offline`` otherwise."""

    CONNECTED = "connected"
    IDLE = "idle"
    WORKING = "working"
    ERROR = "error"
    OFFLINE = "offline"


class ApprovalStatus(StrEnum):
    """Whether an agent may connect."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


class TaskStatus(StrEnum):
    """Where a task is in its life; ``DONE``, ``FAILED`` and ``CANCELLED`` are ends."""

    TODO = "TODO"
    CLAIMED = "CLAIMED"
    IN_PROGRESS = "IN_PROGRESS"
    BLOCKED_ON_HUMAN = "BLOCKED_ON_HUMAN"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class DispatchPolicy(StrEnum):
    """How a project's tasks find their agent: Nexus assigns them, or agents claim them."""

    ASSIGN = "assign"
    CLAIM = "claim"


class MessageKind(StrEnum):
    """What a message in a thread is for."""

    MESSAGE = "message"
    QUESTION = "question"
    FINAL = "final"
    PROGRESS = "progress"
    """How far the agent is; Nexus writes it, and edits it in place."""


class EventType(StrEnum):
    """The event names of the socket; an event type unknown here is ignored by its receiver."""

    # Nexus -> agent
    CONNECTED = "connected"
    TASK_ASSIGNED = "task_assigned"
    TASK_AVAILABLE = "task_available"
    TASK_CLAIMED = "task_claimed"
    TASK_CANCELLED = "task_cancelled"
    CONTEXT_UPDATE = "context_update"
    SLACK_MESSAGE = "slack_message"
    WAKE_UP = "wake_up"
    TOOL_RESULT = "tool_result"
    TOOL_WAITING = "tool_waiting"
    TOOL_CALL = "tool_call"
    SUPERSEDED = "superseded"
    SERVER_DRAINING = "server_draining"
    GAP = "gap"

    # both ways
    HEARTBEAT = "heartbeat"

    # agent -> Nexus
    AGENT_READY = "agent_ready"
    STATUS_UPDATE = "status_update"
    CLAIM_TASK = "claim_task"
    TASK_UPDATE = "task_update"
    POST_MESSAGE = "post_message"
    THINK = "think"
    TOOL_REQUEST = "tool_request"
    TOOL_ANSWER = "tool_answer"
    EVENT_ACK = "event_ack"


class ErrorCode(StrEnum):
    """The stable codes of refused connects, calls and registrations; a peer may send others."""

    # refused connects
    UNAUTHORIZED = "unauthorized"
    TOKEN_EXPIRED = "token_expired"
    AGENT_PENDING = "agent_pending"
    AGENT_REJECTED = "agent_rejected"
    AGENT_DISABLED = "agent_disabled"
    PROTOCOL_UNSUPPORTED = "protocol_unsupported"
    SERVER_DRAINING = "server_draining"
    RATE_LIMITED = "rate_limited"
    AGENTS_STOPPED = "agents_stopped"

    # refused calls
    LEASE_LOST = "lease_lost"
    INVALID_TRANSITION = "invalid_transition"
    INVALID_PAYLOAD = "invalid_payload"
    NOT_FOUND = "not_found"
    NOT_READY = "not_ready"
    ALREADY_CLAIMED = "already_claimed"
    NO_FREE_SLOT = "no_free_slot"
    CONFLICT = "conflict"
    FORBIDDEN = "forbidden"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"
    UNKNOWN_EVENT = "unknown_event"

    # refused registrations
    REGISTRATION_TOKEN_UNKNOWN = "registration_token_unknown"
    REGISTRATION_TOKEN_EXPIRED = "registration_token_expired"
    REGISTRATION_TOKEN_USED_UP = "registration_token_used_up"
    REGISTRATION_TOKEN_REVOKED = "registration_token_revoked"
    CLIENT_ID_TAKEN = "client_id_taken"


class ToolCode(StrEnum):
    """Why a tool call has no result; a peer may send others."""

    UNKNOWN_TOOL = "unknown_tool"
    UNKNOWN_ACTION = "unknown_action"
    NOT_ALLOWED = "not_allowed"
    INVALID_PARAMS = "invalid_params"
    RATE_LIMITED = "rate_limited"
    AGENTS_STOPPED = "agents_stopped"
    LEASE_LOST = "lease_lost"
    PENDING_APPROVAL = "pending_approval"
    DENIED = "denied"
    APPROVAL_EXPIRED = "approval_expired"
    PARAMS_CHANGED = "params_changed"
    TIMED_OUT = "timed_out"
    TOOL_FAILED = "tool_failed"
    TOOL_UNAVAILABLE = "tool_unavailable"
    OUTCOME_UNKNOWN = "outcome_unknown"
    RESULT_TOO_LARGE = "result_too_large"
    RESULT_REFUSED = "result_refused"

    # said by the SDK itself, as TIMED_OUT may be
    SESSION_ENDED = "session_ended"


class CancelReason(StrEnum):
    """Why Nexus took a task from the agent that held it."""

    CANCELLED = "cancelled"
    LEASE_LOST = "lease_lost"
    DEADLINE = "deadline"
    STOPPED = "stopped"


DURABLE_EVENTS = frozenset(
    {
        EventType.TASK_ASSIGNED,
        EventType.CONTEXT_UPDATE,
        EventType.WAKE_UP,
        EventType.TOOL_RESULT,
        EventType.TOOL_WAITING,
        EventType.TOOL_CALL,
        EventType.TASK_CANCELLED,
    }
)
"""Events stored before they are sent, numbered by ``seq``, and resent until acknowledged."""

FINAL_STATUSES = frozenset({TaskStatus.DONE, TaskStatus.FAILED, TaskStatus.CANCELLED})
"""The ends of a task's life."""

HELD_STATUSES = frozenset({TaskStatus.CLAIMED, TaskStatus.IN_PROGRESS, TaskStatus.BLOCKED_ON_HUMAN})
"""The statuses in which an agent holds the task's lease."""
