"""The wire contract, version 1: the models that the SDK and Nexus both speak.

JSON is camelCase, Python is snake_case; unknown fields and unknown event types are ignored.
This package needs pydantic alone and imports nothing else of ``oblivion``.
"""

from oblivion.protocol._base import (
    Timestamp,
    WireModel,
    format_timestamp,
)
from oblivion.protocol._calls import (
    MAX_CHOICE,
    MAX_CHOICES,
    Acknowledged,
    ActiveTask,
    AgentReady,
    AgentReadyAck,
    CallError,
    ClaimResult,
    ClaimTask,
    EventAck,
    HeartbeatCall,
    PostMessage,
    PostMessageAck,
    StatusUpdate,
    TaskPosition,
    TaskUpdate,
    TaskUpdateAck,
    ToolAccepted,
    ToolRequest,
)
from oblivion.protocol._envelope import (
    Envelope,
    wrap,
)
from oblivion.protocol._events import (
    ConnectedPayload,
    ContextUpdatePayload,
    GapPayload,
    HeartbeatPayload,
    ServerDrainingPayload,
    SlackMessagePayload,
    SupersededPayload,
    TaskAssignedPayload,
    TaskAvailablePayload,
    TaskCancelledPayload,
    TaskClaimedPayload,
    ToolResultPayload,
    WakeUpPayload,
)
from oblivion.protocol._resources import (
    FieldProblem,
    GroupRef,
    Problem,
    Registration,
    RegistrationStatus,
    Task,
    TaskSummary,
    ThreadMessage,
    ThreadPage,
    ThreadReplyAck,
)
from oblivion.protocol._vocabulary import (
    DURABLE_EVENTS,
    FINAL_STATUSES,
    HELD_STATUSES,
    AgentStatus,
    ApprovalStatus,
    CancelReason,
    ConnectionStatus,
    DispatchPolicy,
    ErrorCode,
    EventType,
    MessageKind,
    TaskStatus,
)

PROTOCOL_VERSION = 1
"""The version that ``agent_ready`` announces."""

NAMESPACE = "/agents"
"""The Socket.IO namespace of agents."""

MAX_FRAME_BYTES = 256 * 1024
"""The largest frame either side may send."""

__all__ = [
    "DURABLE_EVENTS",
    "FINAL_STATUSES",
    "HELD_STATUSES",
    "MAX_CHOICE",
    "MAX_CHOICES",
    "MAX_FRAME_BYTES",
    "NAMESPACE",
    "PROTOCOL_VERSION",
    "Acknowledged",
    "ActiveTask",
    "AgentReady",
    "AgentReadyAck",
    "AgentStatus",
    "ApprovalStatus",
    "CallError",
    "CancelReason",
    "ClaimResult",
    "ClaimTask",
    "ConnectedPayload",
    "ConnectionStatus",
    "ContextUpdatePayload",
    "DispatchPolicy",
    "Envelope",
    "ErrorCode",
    "EventAck",
    "EventType",
    "FieldProblem",
    "GapPayload",
    "GroupRef",
    "HeartbeatCall",
    "HeartbeatPayload",
    "MessageKind",
    "PostMessage",
    "PostMessageAck",
    "Problem",
    "Registration",
    "RegistrationStatus",
    "ServerDrainingPayload",
    "SlackMessagePayload",
    "StatusUpdate",
    "SupersededPayload",
    "Task",
    "TaskAssignedPayload",
    "TaskAvailablePayload",
    "TaskCancelledPayload",
    "TaskClaimedPayload",
    "TaskPosition",
    "TaskStatus",
    "TaskSummary",
    "TaskUpdate",
    "TaskUpdateAck",
    "ThreadMessage",
    "ThreadPage",
    "ThreadReplyAck",
    "Timestamp",
    "ToolAccepted",
    "ToolRequest",
    "ToolResultPayload",
    "WakeUpPayload",
    "WireModel",
    "format_timestamp",
    "wrap",
]
