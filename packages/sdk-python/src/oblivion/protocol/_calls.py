"""Where the calls of agents live, each beside the answer that acknowledges it."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from oblivion.protocol._base import Timestamp, WireModel
from oblivion.protocol._vocabulary import AgentStatus, MessageKind, TaskStatus

LARGEST = 2**63 - 1
"""The largest number that travels as an attempt or a ``seq``."""


MAX_CHOICES = 25
"""So many answers a question may offer."""

MAX_CHOICE = 200
"""So many characters an answer that is offered may have."""

Choice = Annotated[str, Field(min_length=1, max_length=MAX_CHOICE, pattern=r"\S")]
"""An answer that a question offers."""


class CallError(WireModel):
    """Why a call was refused, and whether the same call may succeed later."""

    code: str
    message: str = ""
    retryable: bool = False


class ActiveTask(WireModel):
    """A lease that the agent believes it holds."""

    task_id: str
    attempt: int = Field(ge=1, le=LARGEST)


class ToolOffer(WireModel):
    """A tool that an agent runs for the others of its groups; ``input_schema`` is a JSON Schema."""

    tool: str
    action: str
    description: str = ""
    input_schema: dict[str, Any] = Field(default_factory=dict)


class AgentReady(WireModel):
    """The agent's announcement; nothing but the greeting is sent to it before."""

    capabilities: list[str] = Field(default_factory=list)
    version: str = ""
    protocol: int = 1
    acks: bool = False
    max_concurrency: int = Field(default=1, ge=1, le=1000)
    accepts_tasks: bool = True
    """False while the agent drains or has no handler for tasks: it keeps what it holds."""
    instance_id: str | None = None
    sdk: str | None = None
    active: list[ActiveTask] = Field(default_factory=list[ActiveTask])
    epoch: str | None = None
    last_seq: int = Field(default=0, ge=0, le=LARGEST)
    tools: list[ToolOffer] | None = None
    """What it offers to others from now on; absent for an agent that knows of no such thing."""


class AgentReadyAck(WireModel):
    """Where the agent's event history stands, and which claimed leases are gone."""

    acknowledged: bool = True
    epoch: str = ""
    head_seq: int = 0
    resumed: bool = False
    lost: list[str] = Field(default_factory=list)


class HeartbeatCall(WireModel):
    """The agent's sign of life; renews the leases in ``active`` and, without it, all it holds."""

    ping: bool = True
    server_time: Timestamp | None = None
    active: list[ActiveTask] | None = None


class StatusUpdate(WireModel):
    """What the agent says it does; ``working`` with a task moves that task to IN_PROGRESS."""

    status: AgentStatus
    task_id: str | None = None
    message: str | None = None


class Acknowledged(WireModel):
    """The plain answer of a call that has nothing else to say."""

    acknowledged: bool = True


class ClaimTask(WireModel):
    """A wish for the lease of an offered task."""

    task_id: str


class ClaimResult(WireModel):
    """Whether the claim won; ``error`` says who or what was first."""

    task_id: str
    success: bool
    claimed_at: Timestamp | None = None
    attempt: int | None = None
    error: str | None = None


class TaskUpdate(WireModel):
    """A move of a held task; ``TODO`` hands it back without using up the attempt."""

    task_id: str
    attempt: int = Field(ge=1, le=LARGEST)
    status: TaskStatus
    result: Any = None
    error: str | None = None
    message: str | None = None
    progress: float | None = Field(default=None, ge=0, le=1)
    retry: bool | None = None
    """With ``FAILED``: False says that another attempt could not do better."""


class TaskPosition(WireModel):
    """Where a task stands after an update."""

    id: str
    status: TaskStatus
    attempt: int


class TaskUpdateAck(WireModel):
    """The answer to a task update."""

    acknowledged: bool = True
    task: TaskPosition


class PostMessage(WireModel):
    """What an agent says in a task's thread."""

    task_id: str
    text: str = Field(min_length=1)
    kind: MessageKind = MessageKind.MESSAGE
    broadcast: bool = False
    client_message_id: str | None = None
    choices: list[Choice] = Field(default_factory=list[str], max_length=MAX_CHOICES)
    """The answers that a question offers; people may answer freely all the same."""

    @model_validator(mode="after")
    def _is_what_agents_say(self) -> "PostMessage":
        if self.kind is MessageKind.PROGRESS:
            raise ValueError("progress is reported with task_update, and shown by Nexus")
        if self.choices and self.kind is not MessageKind.QUESTION:
            raise ValueError("choices belong to a message of the kind 'question'")
        if len(set(self.choices)) < len(self.choices):
            raise ValueError("choices must differ from each other")
        return self


class PostMessageAck(WireModel):
    """Where the message now stands in the thread."""

    ok: bool = True
    message_ts: str = ""


MAX_THOUGHTS = 100
"""So many thoughts one call may bring."""


class Thought(WireModel):
    """What an agent thought, or a line of its log (then with ``level`` and ``logger``)."""

    text: str = Field(min_length=1)
    at: Timestamp | None = None
    level: str | None = None
    logger: str | None = None
    data: Any = None


class Think(WireModel):
    """What belongs to a task's trace, in order; ``dropped`` counts what did not make it before."""

    task_id: str
    thoughts: list[Thought] = Field(max_length=MAX_THOUGHTS)
    dropped: int = Field(default=0, ge=0, le=LARGEST)


class ToolRequest(WireModel):
    """A wish that Nexus run a tool for the agent; the answer is the event ``tool_result``.

    ``timeout_ms`` bounds the tool's time, not that of a person who approves the call first. Who
    ``waits`` is told by the event ``tool_waiting`` until when that may take.
    """

    request_id: str
    tool: str
    action: str
    params: dict[str, Any] = Field(default_factory=dict)
    task_id: str | None = None
    timeout_ms: int | None = Field(default=None, gt=0, le=LARGEST)
    waits: bool = False


class ToolAccepted(WireModel):
    """The request is stored as the call ``call_id``; its result follows as an event."""

    accepted: bool = True
    call_id: str | None = None


class ToolAnswer(WireModel):
    """What became of a ``tool_call`` that this agent was asked to carry out."""

    call_id: str
    success: bool
    result: Any = None
    error: str | None = None


class EventAck(WireModel):
    """The events whose handling ended."""

    seqs: list[Annotated[int, Field(ge=1, le=LARGEST)]]
