"""Where the values of HTTP live that agents read: tasks, threads, registrations, problems."""

from typing import Any

from pydantic import Field

from oblivion.protocol._base import Timestamp, WireModel
from oblivion.protocol._vocabulary import ApprovalStatus, TaskStatus


class Task(WireModel):
    """A unit of work with a thread."""

    id: str
    title: str
    description: str = ""
    status: TaskStatus
    priority: int = 3
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
    claimed_by_agent_id: str | None = None
    claimed_at: Timestamp | None = None
    attempt: int = 0
    max_attempts: int = 3
    lease_expires_at: Timestamp | None = None
    progress: float | None = None
    result: Any = None
    error: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: Timestamp
    updated_at: Timestamp


class TaskSummary(WireModel):
    """A task as the lists of available and claimed tasks show it."""

    task_id: str
    title: str
    description: str = ""
    priority: int = 3
    project_id: str = ""
    project_name: str = ""
    group_id: str = ""
    group_name: str = ""
    clickup_task_id: str | None = None
    created_at: Timestamp


class ThreadMessage(WireModel):
    """One message of a task's thread."""

    ts: str
    user: str = ""
    username: str = ""
    text: str = ""
    is_human: bool = False
    created_at: Timestamp | None = None
    kind: str = "message"
    """``message``, ``question``, ``final``, or ``progress``, which is edited in place."""
    choices: list[str] = Field(default_factory=list[str])
    """The answers that a question offers."""
    edited: bool = False
    deleted: bool = False
    """Its author took it back; it keeps its place, without text."""


class ThreadPage(WireModel):
    """A page of a thread, oldest message first."""

    ok: bool = True
    task_id: str
    messages: list[ThreadMessage] = Field(default_factory=list[ThreadMessage])
    has_more: bool = False
    next_cursor: str | None = None


class ThreadReplyAck(WireModel):
    """Where a posted reply now stands."""

    ok: bool = True
    channel_id: str | None = None
    message_ts: str = ""


class GroupRef(WireModel):
    """A group by its names."""

    id: str
    slug: str = ""
    name: str = ""


class Registration(WireModel):
    """An agent that asked to join a group; it may connect once an admin has approved it."""

    id: str
    agent_id: str
    client_id: str
    client_secret: str | None = Field(default=None, repr=False)
    """What the agent connects with; shown once, keep it now."""
    name: str = ""
    approval_status: ApprovalStatus = ApprovalStatus.PENDING
    pending_group: GroupRef | None = None
    """The group that it joins with the approval."""
    message: str = ""


class RegistrationStatus(WireModel):
    """Where an agent's wish to join stands."""

    approval_status: ApprovalStatus
    pending_group: GroupRef | None = None
    """The group that it joins with the approval; None when that is decided."""
    rejection_reason: str | None = None
    is_banned: bool = False
    """Whether it is shut out, whatever was decided before."""


class ToolInfo(WireModel):
    """One thing that an agent may have done for it: an ``action`` of a ``tool``."""

    tool: str
    action: str
    description: str = ""
    input_schema: dict[str, Any] = Field(default_factory=dict)
    """The JSON Schema of ``params``."""
    requires_approval: bool = False
    """Whether a person looks at each call first."""
    offered_by: str | None = None
    """The agent that carries it out; None where Nexus does."""


class FieldProblem(WireModel):
    """What is wrong with one field of a request; ``pointer`` is a JSON Pointer (RFC 6901)."""

    pointer: str
    detail: str


class Problem(WireModel):
    """An HTTP error as RFC 9457 problem details, with a stable ``code``."""

    type: str = "about:blank"
    title: str = ""
    status: int = 500
    detail: str = ""
    code: str = ""
    errors: list[FieldProblem] = Field(default_factory=list[FieldProblem])
