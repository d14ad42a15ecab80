"""Where the values live that admins and viewers read: agents, groups, tokens, projects, counts."""

from pydantic import Field

from nexus.domain.deliveries import DeliveryStatus
from nexus.domain.registration import TokenState
from oblivion.protocol import (
    ApprovalStatus,
    CallError,
    ConnectionStatus,
    DispatchPolicy,
    GroupRef,
    Timestamp,
    ToolInfo,
    WireModel,
)


class Agent(WireModel):
    """An identity with capabilities that is a member of groups."""

    id: str
    client_id: str
    client_secret: str | None = None
    """Only in the answer to its creation, and only when Nexus made the secret."""
    name: str
    description: str = ""
    email: str | None = None
    capabilities: list[str] = Field(default_factory=list)
    groups: list[GroupRef] = Field(default_factory=list)
    approval_status: ApprovalStatus
    pending_group: GroupRef | None = None
    """The group that it asked to join, until that is decided."""
    rejection_reason: str | None = None
    is_banned: bool = False
    is_connected: bool = False
    connection_status: ConnectionStatus = ConnectionStatus.OFFLINE
    status_message: str | None = None
    last_seen_at: Timestamp | None = None
    version: str | None = None
    max_concurrency: int | None = None
    current_task_ids: list[str] = Field(default_factory=list)
    created_at: Timestamp
    updated_at: Timestamp


class Group(WireModel):
    """A team of agents."""

    id: str
    name: str
    slug: str
    description: str = ""
    archived_at: Timestamp | None = None
    created_at: Timestamp
    updated_at: Timestamp


class Member(WireModel):
    """An agent's place in a group."""

    agent_id: str
    client_id: str
    name: str
    role: str = "member"
    joined_at: Timestamp


class RegistrationToken(WireModel):
    """What lets agents ask to join a group."""

    id: str
    token: str | None = None
    """Only in the answer to its creation."""
    name: str | None = None
    group_id: str
    group_name: str = ""
    state: TokenState
    uses: int = 0
    max_uses: int | None = None
    expires_at: Timestamp | None = None
    revoked_at: Timestamp | None = None
    last_used_at: Timestamp | None = None
    created_by: str = ""
    created_at: Timestamp


class PendingCount(WireModel):
    """How many agents wait for an admin's decision."""

    count: int = 0


class Decision(WireModel):
    """What became of one agent of a batch: it was approved, or ``error`` says why not."""

    agent_id: str
    """As it was named in the request."""
    agent: Agent | None = None
    error: CallError | None = None


class Decisions(WireModel):
    """What became of each agent of a batch, in the order of the request."""

    items: list[Decision] = Field(default_factory=list)


class Project(WireModel):
    """A scope of work, with a tag and a dispatch policy."""

    id: str
    group_id: str
    group_name: str = ""
    name: str
    slug: str
    description: str = ""
    oblivion_tag: str | None = None
    dispatch_policy: DispatchPolicy
    archived_at: Timestamp | None = None
    created_at: Timestamp
    updated_at: Timestamp


class TaskCounts(WireModel):
    """How many tasks stand where."""

    todo: int = 0
    claimed: int = 0
    in_progress: int = 0
    blocked: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0


class ProjectStats(WireModel):
    """A project at a glance."""

    project_id: str
    tasks: TaskCounts


class AgentCounts(WireModel):
    """How many agents there are, and how many are connected."""

    total: int = 0
    online: int = 0


class Stats(WireModel):
    """A tenant at a glance."""

    agents: AgentCounts
    tasks: TaskCounts
    groups: int = 0
    projects: int = 0


class Activity(WireModel):
    """One thing that happened."""

    id: int
    at: Timestamp
    type: str
    agent_id: str | None = None
    project_id: str | None = None
    task_id: str | None = None
    data: dict[str, object] = Field(default_factory=dict)


class Client(WireModel):
    """What a person, or a program of theirs, asks for tokens with."""

    client_id: str
    client_secret: str | None = None
    """Only in the answer to its creation, and only when Nexus made the secret."""
    role: str
    created_at: Timestamp
    disabled_at: Timestamp | None = None


class AuditEntry(WireModel):
    """Something that somebody did; ``seal`` binds it to the entry before it."""

    seq: int
    at: Timestamp
    actor: str
    role: str
    address: str | None = None
    action: str
    target: str | None = None
    details: dict[str, object] = Field(default_factory=dict)
    seal: str


class Delivery(WireModel):
    """What came in from another service, or is to go out to it."""

    id: int
    box: str
    kind: str
    lane: str
    task_id: str | None = None
    status: DeliveryStatus
    tries: int
    unsure: bool
    error: str | None = None
    created_at: Timestamp
    due_at: Timestamp | None = None
    ended_at: Timestamp | None = None


class Backlog(WireModel):
    """How many deliveries of a box wait, and how many failed."""

    box: str
    pending: int
    failed: int
    oldest_pending_at: Timestamp | None = None


class ToolRule(WireModel):
    """Who may have which tools do what; the rules hold in the order in which they are listed."""

    id: str
    created_by: str = ""
    """A client id, or ``settings`` for a rule that stands there."""
    created_at: Timestamp | None = None
    rule: dict[str, object] = Field(default_factory=dict)


class KeptSecret(WireModel):
    """A secret that tools may be given; what it is, nobody is shown."""

    name: str
    set_by: str
    set_at: Timestamp


class ToolCall(WireModel):
    """A call of a tool that an agent asked for."""

    id: str
    state: str
    tool: str
    action: str
    params: object = None
    params_hash: str
    agent_id: str
    agent_name: str = ""
    task_id: str | None = None
    task_title: str | None = None
    rule: str | None = None
    """Under which rule it was made."""
    decided_by: str | None = None
    decided_at: Timestamp | None = None
    reason: str | None = None
    error: str | None = None
    code: str | None = None
    expires_at: Timestamp | None = None
    """Until when a person can approve it, while it waits for that."""
    created_at: Timestamp
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None


class KnownTool(WireModel):
    """A tool of this Nexus, or one that agents offer, with what it can do."""

    name: str
    actions: list[ToolInfo] = Field(default_factory=list)
    problem: str | None = None
    """Why it cannot be used just now."""
