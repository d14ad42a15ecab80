"""What Nexus ought to do, told a second time in plain Python: the model beside the state machine.

Each method decides as the service of its name promises: it raises the refusal, having changed
nothing, or changes the model and returns what the caller is to be answered, where that matters.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nexus.domain.errors import (
    AlreadyClaimed,
    Conflict,
    InvalidTransition,
    LeaseLost,
    NoFreeSlot,
    NotFound,
    NotReady,
)
from nexus.services.tasks import SetStatus
from oblivion.protocol import (
    FINAL_STATUSES,
    HELD_STATUSES,
    AgentReady,
    DispatchPolicy,
    EventType,
    TaskStatus,
    TaskUpdate,
)

DAY_MS = 24 * 3600 * 1000
LEASE_MS = 120_000
OFFLINE_MS = 90_000


@dataclass(kw_only=True)
class ModelTask:
    """A task; ``slack`` is how much later than ``not_before`` chance may put it."""

    id: str
    tenant: str
    group: str
    project: str
    policy: DispatchPolicy
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
    attempt: int | None = None
    acked_at: int | None = None
    pruned: bool = False


@dataclass(kw_only=True)
class ModelSession:
    """The newest session of an agent."""

    id: str
    connected_at: int
    last_seen: int
    idle_since: int
    open: bool = True
    ready: bool = False
    accepts: bool = False
    room: int = 1
    skills: frozenset[str] = frozenset()
    instance: str | None = None


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
            if event.type is EventType.TASK_ASSIGNED and event.acked_at is None
        }


class Model:
    """Everything that the services are to remember; ``now`` is moved by the machine."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.tasks: dict[str, ModelTask] = {}
        self.agents: dict[str, ModelAgent] = {}
        self.archived: set[str] = set()
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        self.keys: dict[str, tuple[int, str, Any]] = {}

    # --- what everything is made of

    def held_by(self, agent: str) -> list[ModelTask]:
        return [task for task in self.tasks.values() if task.held and task.holder == agent]

    def visible(self, agent: str, task_id: str) -> ModelTask:
        task = self.tasks.get(task_id)
        if task is None or task.group not in self.agents[agent].groups:
            raise NotFound(task_id)
        return task

    def is_open(self, task: ModelTask) -> bool:
        return not {task.project, task.group} & self.archived

    def tell(self, agent: str, type_: EventType, task: str | None, attempt: int | None = None):  # type: ignore[no-untyped-def]
        self.agents[agent].events.append(ModelEvent(type=type_, task=task, attempt=attempt))

    def _grant(self, task: ModelTask, agent: str) -> None:
        task.status, task.holder, task.claimed_at = TaskStatus.CLAIMED, agent, self.now
        task.attempt += 1
        task.lease = self.now + LEASE_MS
        task.deadline = None if task.timeout is None else self.now + task.timeout * 1000
        self.tell(agent, EventType.TASK_ASSIGNED, task.id, task.attempt)

    def _let_go(self, task: ModelTask) -> None:
        task.lease = task.deadline = None
        session = self.agents[task.holder].session if task.holder else None
        if session is not None:
            session.idle_since = self.now

    def _free(self, task: ModelTask, not_before: int, slack: int = 0) -> None:
        self._let_go(task)
        task.status, task.holder, task.claimed_at = TaskStatus.TODO, None, None
        task.not_before, task.slack = not_before, slack

    def _finish(self, task: ModelTask, status: TaskStatus) -> None:
        self._let_go(task)
        task.status, task.finished_at = status, self.now

    def _fail(self, task: ModelTask, *, pause: bool, final: bool = False) -> None:
        plain = min(1000 * 2**task.used, 60_000) if pause else 0
        task.used += 1
        if final or task.used >= task.max_attempts:
            self._finish(task, TaskStatus.FAILED)
        else:
            self._free(task, self.now + plain, plain // 4)

    def _cancelled(self, agent: str, task: ModelTask) -> None:
        self.tell(agent, EventType.TASK_CANCELLED, task.id, task.attempt)

    # --- sessions

    def require_open(self, agent: str, session_id: str) -> ModelSession:
        session = self.agents[agent].session
        if session is None or session.id != session_id or not session.open:
            raise NotReady("ended")
        return session

    def require_ready(self, agent: str, session_id: str) -> ModelSession:
        session = self.require_open(agent, session_id)
        if not session.ready:
            raise NotReady("unannounced")
        return session

    def opened(self, agent: str, session_id: str) -> None:
        before = self.agents[agent].session
        fresh = ModelSession(
            id=session_id, connected_at=self.now, last_seen=self.now, idle_since=self.now
        )
        if before is not None:
            fresh = replace(fresh, room=before.room, skills=before.skills, instance=before.instance)
        self.agents[agent].session = fresh

    def agent_ready(self, agent: str, session_id: str, ready: AgentReady) -> dict[str, Any]:
        session = self.require_open(agent, session_id)
        active = {(task.task_id, task.attempt) for task in ready.active}
        if session.instance and ready.instance_id and session.instance != ready.instance_id:
            spared = active | self.agents[agent].undelivered
            for task in self.held_by(agent):
                if (task.id, task.attempt) not in spared:
                    self._fail(task, pause=False)
        session.ready, session.accepts = True, ready.accepts_tasks
        session.room, session.instance = ready.max_concurrency, ready.instance_id
        session.skills, session.last_seen = frozenset(ready.capabilities), self.now
        self.renew(agent, active)
        return {
            "headSeq": len(self.agents[agent].events),
            "lost": sorted(
                task for task, attempt in active if not self.keeps(agent, task, attempt)
            ),
        }

    def keeps(self, agent: str, task_id: str, attempt: int) -> bool:
        """Say whether the agent holds the attempt, or has ended it; what a person cancelled no."""
        task = self.tasks.get(task_id)
        return (
            task is not None
            and (task.holder, task.attempt) == (agent, attempt)
            and task.status is not TaskStatus.CANCELLED
        )

    def renew(self, agent: str, active: Iterable[tuple[str, int]]) -> None:
        for task in self.held_by(agent):
            if (task.id, task.attempt) in active:
                task.lease = self.now + LEASE_MS

    def heartbeat(
        self, agent: str, session_id: str, active: Sequence[tuple[str, int]] | None
    ) -> None:
        session = self.require_ready(agent, session_id)
        session.last_seen = self.now
        if active is None:
            active = [
                (task.id, task.attempt)
                for task in self.held_by(agent)
                if (task.claimed_at or 0) >= session.connected_at
            ]
        self.renew(agent, active)

    def close_silent(self) -> list[str]:
        return sorted(
            agent.id
            for agent in self.agents.values()
            if agent.session and agent.session.last_seen < self.now - OFFLINE_MS
            if self.close(agent.id, agent.session.id)
        )

    def close(self, agent: str, session_id: str) -> bool:
        session = self.agents[agent].session
        if session is None or session.id != session_id or not session.open:
            return False
        session.open = session.ready = False
        return True

    def restart(self) -> None:
        for agent in self.agents.values():
            if agent.session:
                self.close(agent.id, agent.session.id)
        for task in self.tasks.values():
            if task.held:
                task.lease = self.now + LEASE_MS

    # --- leases

    def waiting(self, policy: DispatchPolicy) -> list[ModelTask]:
        return sorted(
            (
                task
                for task in self.tasks.values()
                if task.status is TaskStatus.TODO
                and task.policy is policy
                and task.not_before <= self.now
                and self.is_open(task)
            ),
            key=lambda task: task.place,
        )

    def takers(self, task: ModelTask) -> list[ModelAgent]:
        """Return who could take the task now, who is to have it first."""
        ready = (agent for agent in self.agents.values() if agent.session and agent.session.ready)
        able = [
            (len(self.held_by(agent.id)), agent.session.idle_since, agent.id, agent)
            for agent in ready
            if agent.session is not None
            and agent.session.accepts
            and task.group in agent.groups
            and task.needs <= agent.skills
            and len(self.held_by(agent.id)) < agent.session.room
        ]
        return [agent for *_, agent in sorted(able, key=lambda found: found[:3])]

    def lease_next(self) -> int:
        granted = 0
        for task in self.waiting(DispatchPolicy.ASSIGN):
            takers = self.takers(task)
            if takers:
                self._grant(task, takers[0].id)
                granted += 1
        return granted

    def offers(self) -> dict[str, set[str]]:
        found = {
            task.id: {agent.id for agent in self.takers(task)}
            for task in self.waiting(DispatchPolicy.CLAIM)
        }
        return {task: agents for task, agents in found.items() if agents}

    def claim(self, agent: str, session_id: str, task_id: str) -> int | None:
        """Return the attempt that was won, None where the claim is refused politely."""
        room = self.require_ready(agent, session_id).room
        try:
            return self._claim(agent, task_id, room)
        except (Conflict, NotFound):
            return None

    def _claim(self, agent: str, task_id: str, room: int) -> int:
        task = self.visible(agent, task_id)
        if task.held and task.holder == agent:
            return task.attempt
        if task.status is not TaskStatus.TODO:
            raise AlreadyClaimed(task_id)
        if not self.is_open(task) or not task.needs <= self.agents[agent].skills:
            raise Conflict(task_id)
        if len(self.held_by(agent)) >= room:
            raise NoFreeSlot(task_id)
        self._grant(task, agent)
        return task.attempt

    def update(self, agent: str, session_id: str, wish: TaskUpdate) -> dict[str, Any]:
        self.require_ready(agent, session_id)
        return self.update_as_holder(agent, wish)

    def update_as_holder(self, agent: str, wish: TaskUpdate) -> dict[str, Any]:
        task = self.tasks.get(wish.task_id)
        if task is None:
            raise NotFound(wish.task_id)
        if task.holder != agent:
            self.visible(agent, wish.task_id)
        if not task.held or (task.holder, task.attempt) != (agent, wish.attempt):
            raise LeaseLost(wish.task_id)
        match wish.status:
            case TaskStatus.CLAIMED | TaskStatus.CANCELLED:
                raise InvalidTransition(wish.status)
            case TaskStatus.IN_PROGRESS | TaskStatus.BLOCKED_ON_HUMAN:
                task.status = wish.status
            case TaskStatus.FAILED:
                self._fail(task, pause=True, final=wish.retry is False)
            case TaskStatus.TODO:
                self._free(task, self.now + 1000)
            case TaskStatus.DONE:
                self._finish(task, TaskStatus.DONE)
        return {"id": task.id, "status": task.status, "attempt": wish.attempt}

    def start(self, agent: str, task_id: str) -> None:
        task = self.tasks.get(task_id)
        if task and task.holder == agent and task.status is TaskStatus.CLAIMED:
            task.status = TaskStatus.IN_PROGRESS

    def expire(self) -> int:
        lost = [t for t in self.tasks.values() if t.held and (t.lease or 0) <= self.now]
        late = [
            t
            for t in self.tasks.values()
            if t.held and t not in lost and t.deadline is not None and t.deadline <= self.now
        ]
        for task in (*lost, *late):
            holder = task.holder
            assert holder is not None
            self._fail(task, pause=task in late)
            self._cancelled(holder, task)
        return len(lost) + len(late)

    # --- people

    def set_status(self, task_id: str, wish: SetStatus) -> None:
        task = self.tasks[task_id]
        retried = wish.status is TaskStatus.TODO
        if task.final and not (retried and task.status is not TaskStatus.DONE):
            raise InvalidTransition("ended")
        if wish.status is TaskStatus.CLAIMED:
            raise InvalidTransition("only agents claim")
        if wish.status in HELD_STATUSES:
            if not task.held:
                raise InvalidTransition("nobody holds it")
            task.status = wish.status
            return
        holder = task.holder if task.held else None
        if retried:
            self._retry(task, was_held=holder is not None)
        else:
            task.lease = task.deadline = None
            if holder is not None:
                self._let_go(task)
            task.status, task.finished_at = wish.status, self.now
        if holder is not None:
            self._cancelled(holder, task)

    def _retry(self, task: ModelTask, *, was_held: bool) -> None:
        if was_held:
            self._let_go(task)
        task.status, task.holder, task.claimed_at = TaskStatus.TODO, None, None
        task.lease = task.deadline = task.finished_at = None
        task.used, task.not_before = 0, self.now

    # --- conversations

    def post(self, author: str, is_human: bool, task: ModelTask, mentions: Iterable[str]) -> None:
        was_held = task.held
        if is_human and task.status is TaskStatus.BLOCKED_ON_HUMAN:
            task.status = TaskStatus.IN_PROGRESS
        if was_held and task.holder is not None and task.holder != author:
            self.tell(task.holder, EventType.CONTEXT_UPDATE, task.id)
        for agent in self.agents.values():
            called = agent.name in mentions or ("nexus" in mentions and agent.id == task.holder)
            if called and task.group in agent.groups and agent.id != author:
                self.tell(agent.id, EventType.WAKE_UP, task.id)

    # --- events and tables

    def pending(self, agent: str) -> list[int]:
        events = enumerate(self.agents[agent].events, start=1)
        return [seq for seq, event in events if event.acked_at is None]

    def acknowledge(self, agent: str, seqs: Iterable[int]) -> None:
        for seq in set(seqs) & set(self.pending(agent)):
            self.agents[agent].events[seq - 1].acked_at = self.now

    def prune(self) -> None:
        for agent in self.agents.values():
            for event in agent.events:
                if event.acked_at is not None and event.acked_at < self.now - 7 * DAY_MS:
                    event.pruned = True
        yesterday = self.now - DAY_MS
        self.answers = {k: kept for k, kept in self.answers.items() if kept[0] >= yesterday}
        self.keys = {k: kept for k, kept in self.keys.items() if kept[0] >= yesterday}
