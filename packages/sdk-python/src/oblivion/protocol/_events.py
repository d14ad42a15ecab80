"""Where the payloads live that Nexus sends to agents."""

from typing import Any

from pydantic import Field

from oblivion.protocol._base import Timestamp, WireModel


class ConnectedPayload(WireModel):
    """The greeting, sent as a bare object right after the connect."""

    message: str = ""
    agent_id: str
    session_id: str
    server_time: Timestamp
    heartbeat_interval_ms: int = Field(default=30_000, gt=0)
    protocol: int = 1
    epoch: str = ""


class ContextUpdatePayload(WireModel):
    """A message in the thread of a task that this agent holds."""

    task_id: str
    slack_channel_id: str | None = None
    slack_thread_ts: str | None = None
    message_ts: str = ""
    author: str = ""
    author_id: str = ""
    content: str = ""
    is_human: bool = True
    edited: bool = False
    deleted: bool = False


class TaskAvailablePayload(WireModel):
    """A task that waits for an agent of a ``claim`` project to claim it."""

    task_id: str
    title: str
    description: str = ""
    priority: int = 3
    """1 urgent, 2 high, 3 normal, 4 low."""
    project_id: str = ""
    project_name: str = ""
    group_id: str = ""
    group_name: str = ""
    required_capabilities: list[str] = Field(default_factory=list)
    source: str = "nexus"
    source_url: str | None = None
    clickup_task_id: str | None = None
    slack_channel_id: str | None = None
    slack_thread_ts: str | None = None
    created_at: Timestamp | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class TaskAssignedPayload(TaskAvailablePayload):
    """A task whose lease this agent now holds; every write about it carries its ``attempt``."""

    attempt: int = 1
    max_attempts: int = 3
    lease_expires_at: Timestamp | None = None
    deadline: Timestamp | None = None
    assigned_at: Timestamp | None = None
    last_error: str | None = None
    """Why an earlier attempt failed; None for the first, and after one that was handed back."""
    messages: list[ContextUpdatePayload] = Field(
        default_factory=list[ContextUpdatePayload], exclude=True
    )
    """What people wrote since this attempt began, for a handler that they interrupted.

    The SDK fills it in, where a client has ``on_busy="interrupt"``; it does not travel.
    """


class TaskClaimedPayload(WireModel):
    """An offered task that another agent claimed first."""

    task_id: str
    project_id: str = ""
    claimed_by_agent_id: str = ""
    claimed_by_agent_name: str = ""
    claimed_at: Timestamp | None = None


class TaskCancelledPayload(WireModel):
    """A task that this agent no longer holds; its handler is cancelled."""

    task_id: str
    attempt: int = 0
    reason: str = "cancelled"
    """``cancelled``, ``lease_lost``, ``deadline`` or ``stopped``."""


class SlackMessagePayload(WireModel):
    """A message in a project's channel: a hint for those who are connected."""

    channel_id: str
    message_ts: str
    thread_ts: str | None = None
    text: str = ""
    user: str = ""
    task_id: str | None = None
    project_id: str = ""
    project_name: str = ""
    group_id: str = ""
    group_name: str = ""


class WakeUpPayload(WireModel):
    """A call for this agent's attention."""

    reason: str
    """``mention``, ``scheduled``, ``manual`` or ``retry``."""
    task_id: str | None = None
    triggered_by: str | None = None
    message: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class ToolResultPayload(WireModel):
    """The answer to a tool request: ``data`` when ``success``, a readable ``error`` otherwise.

    What is ``untrusted`` was written by a tool: a model must not take it for instructions.
    """

    request_id: str
    success: bool
    data: Any = Field(default=None, alias="result")
    error: str | None = None
    code: str | None = None
    """Why there is no result, in one stable word such as ``not_allowed`` or ``timed_out``."""
    untrusted: bool = False


class ToolWaitingPayload(WireModel):
    """A tool request waits for a person's approval, at most until ``expires_at``."""

    request_id: str
    approval_id: str = ""
    expires_in_ms: int = Field(default=0, ge=0)
    """From when this was sent, for clocks differ."""
    expires_at: Timestamp | None = None


class ToolCallPayload(WireModel):
    """Another agent wants a tool that this agent offers; answered with ``tool_answer``."""

    call_id: str
    tool: str
    action: str
    params: dict[str, Any] = Field(default_factory=dict)
    timeout_ms: int = Field(default=60_000, gt=0)
    requested_by_id: str = ""
    requested_by: str = ""
    task_id: str | None = None


class HeartbeatPayload(WireModel):
    """A keep-alive: ``ping`` asks, ``pong`` answers."""

    ping: bool = False
    pong: bool = False
    server_time: Timestamp | None = None


class SupersededPayload(WireModel):
    """A newer session of the same agent took over."""

    session_id: str = ""


class ServerDrainingPayload(WireModel):
    """This server is about to stop; come back (elsewhere) after the given time."""

    reconnect_after_ms: int = Field(default=0, ge=0)


class GapPayload(WireModel):
    """Events ``from_seq`` to ``to_seq`` are gone for good; nothing else is missing."""

    epoch: str = ""
    from_seq: int = 0
    to_seq: int = 0
