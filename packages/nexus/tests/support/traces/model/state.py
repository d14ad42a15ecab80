"""Where the model keeps what Nexus is to remember."""

from dataclasses import dataclass, field
from typing import Any

from nexus.domain.errors import NotFound
from oblivion.protocol import FINAL_STATUSES, HELD_STATUSES, DispatchPolicy, EventType, TaskStatus

LEASE_MS = 120_000
OFFLINE_MS = 90_000


@dataclass(kw_only=True)
class ModelTask:
    """A task; ``slack`` is how much later than ``not_before`` chance may put it."""

    id: str
    tenant: str
    group: str
    project: str
    priority: int
    needs: frozenset[str]
    max_attempts: int
    timeout: int | None
    created_at: int
    not_before: int
    slack: int = 0
    status: TaskStatus = TaskStatus.TODO
    attempt: int = 0
    used: int = 0
    holder: str | None = None
    claimed_at: int | None = None
    lease: int | None = None
    deadline: int | None = None
    finished_at: int | None = None

    @property
    def held(self) -> bool:
        return self.status in HELD_STATUSES

    @property
    def final(self) -> bool:
        return self.status in FINAL_STATUSES

    @property
    def place(self) -> tuple[int, int, str]:
        return self.priority, self.created_at, self.id


@dataclass(kw_only=True)
class ModelEvent:
    """An event as its agent counts them: the n-th of the list has ``seq`` n."""

    type: EventType
    task: str | None
    created_at: int
    attempt: int | None = None
    acked_at: int | None = None
    pruned: bool = False

    @property
    def unheard(self) -> bool:
        return self.acked_at is None and not self.pruned


@dataclass(kw_only=True)
class ModelSession:
    """The newest session of an agent."""

    id: str
    node: str
    connected_at: int
    last_seen: int
    idle_since: int
    open: bool = True
    ready: bool = False
    accepts: bool = False
    room: int = 1
    skills: frozenset[str] = frozenset()
    instance: str | None = None

    @property
    def takes_tasks(self) -> bool:
        return self.ready and self.accepts


@dataclass(kw_only=True)
class ModelAgent:
    """An agent, its groups and everything it was ever told."""

    id: str
    name: str
    tenant: str
    groups: set[str]
    profile: frozenset[str]
    session: ModelSession | None = None
    events: list[ModelEvent] = field(default_factory=list)

    @property
    def skills(self) -> frozenset[str]:
        return self.profile | (self.session.skills if self.session else frozenset())

    @property
    def undelivered(self) -> set[tuple[str | None, int | None]]:
        return {
            (event.task, event.attempt)
            for event in self.events
            if event.type is EventType.TASK_ASSIGNED and event.unheard
        }


@dataclass(kw_only=True)
class Model:
    """Everything that the services are to remember; ``now`` is moved by the machine.

    ``answers`` are those of calls, by agent and envelope id, ``keys`` those of keyed requests,
    each with the moment it was kept; ``watched_at`` is when somebody last looked at the clock.
    """

    now: int
    policies: dict[str, DispatchPolicy]
    tasks: dict[str, ModelTask] = field(default_factory=dict)
    agents: dict[str, ModelAgent] = field(default_factory=dict)
    archived: set[str] = field(default_factory=set)
    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    keys: dict[str, tuple[int, str, Any]] = field(default_factory=dict)
    watched_at: int | None = None

    def held_by(self, agent: str) -> list[ModelTask]:
        """Return the tasks whose lease the agent holds."""
        return [task for task in self.tasks.values() if task.held and task.holder == agent]

    def visible(self, agent: str, task_id: str) -> ModelTask:
        """Return a task of the agent's groups."""
        task = self.tasks.get(task_id)
        if task is None or task.group not in self.agents[agent].groups:
            raise NotFound(task_id)
        return task

    def is_open(self, task: ModelTask) -> bool:
        """Say whether neither the task's project nor its group is archived."""
        return not {task.project, task.group} & self.archived

    def waiting(self, policy: DispatchPolicy) -> list[ModelTask]:
        """Return what can be handed out now, by priority, then age."""
        due = [
            task
            for task in self.tasks.values()
            if task.status is TaskStatus.TODO
            and task.not_before <= self.now
            and self.policies[task.project] is policy
            and self.is_open(task)
        ]
        return sorted(due, key=lambda task: task.place)
