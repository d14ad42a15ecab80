"""Where the tasks of a fake Nexus live: made, leased, moved and ended, as the real one does it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypedDict

from oblivion._clock import Clock
from oblivion.protocol import (
    HELD_STATUSES,
    ActiveTask,
    CancelReason,
    ClaimResult,
    DispatchPolicy,
    ErrorCode,
    EventType,
    Task,
    TaskAssignedPayload,
    TaskAvailablePayload,
    TaskCancelledPayload,
    TaskPosition,
    TaskStatus,
    TaskSummary,
    TaskUpdate,
    TaskUpdateAck,
    Thought,
    ThreadMessage,
    trace_of,
)
from oblivion.testing._agents import Agent, Agents, Session
from oblivion.testing._refusal import Refusal

LEASE_SECONDS = 120.0
RELEASE_PAUSE_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0

_PLACE = {
    "project_id": "project-1",
    "project_name": "Tests",
    "group_id": "group-1",
    "group_name": "Team",
}
_HOLDERS_MOVES = HELD_STATUSES - {TaskStatus.CLAIMED} | {
    TaskStatus.TODO,
    TaskStatus.DONE,
    TaskStatus.FAILED,
}


class TaskDetails(TypedDict, total=False):
    """What a task may say beside its title.

    ``max_attempts`` is 3 unless said, ``timeout_seconds`` bounds one attempt, ``traceparent`` is
    the trace that the task belongs to.
    """

    description: str
    priority: int
    required_capabilities: Sequence[str]
    max_attempts: int
    timeout_seconds: float
    metadata: dict[str, Any]
    traceparent: str


@dataclass(slots=True, kw_only=True, eq=False)
class Record:
    """A task as it stands; times that end in ``_at`` are moments, the others ages of the clock.

    Up to ``read`` the test has read the thread, up to ``said_before`` it was said before the
    present attempt.
    """

    id: str
    title: str
    details: TaskDetails
    policy: DispatchPolicy
    created_at: datetime
    updated_at: datetime
    status: TaskStatus = TaskStatus.TODO
    attempt: int = 0
    attempts_used: int = 0
    rests_until: float = 0.0
    holder: Agent | None = None
    claimed_at: datetime | None = None
    granted: float = 0.0
    lease_until: float | None = None
    deadline: float | None = None
    progress: float | None = None
    result: Any = None
    error: str | None = None
    thread: list[ThreadMessage] = field(default_factory=list[ThreadMessage])
    read: int = 0
    said_before: int = 0
    thoughts: list[Thought] = field(default_factory=list[Thought])

    @property
    def is_held(self) -> bool:
        """Whether an agent has its lease."""
        return self.status in HELD_STATUSES

    @property
    def required(self) -> frozenset[str]:
        """The capabilities that it asks for."""
        return frozenset(self.details.get("required_capabilities", ()))

    @property
    def max_attempts(self) -> int:
        """How many attempts may fail."""
        return self.details.get("max_attempts", 3)

    @property
    def traceparent(self) -> str | None:
        """The trace that it belongs to."""
        return trace_of(self.details.get("traceparent"))

    @property
    def urgency(self) -> tuple[int, datetime, str]:
        """What tasks are ordered by."""
        return self.details.get("priority", 3), self.created_at, self.id

    def is_held_by(self, agent: Agent, attempt: int | None = None) -> bool:
        """Whether the agent has its lease, under this attempt if one is given."""
        return self.is_held and self.holder is agent and attempt in {None, self.attempt}

    def _moment(self, age: float | None) -> datetime | None:
        """Return what an age of the clock is as a moment; the lease began at ``claimed_at``."""
        if age is None or self.claimed_at is None:
            return None
        return self.claimed_at + timedelta(seconds=age - self.granted)

    def _brief(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "description": self.details.get("description", ""),
            "priority": self.details.get("priority", 3),
            "created_at": self.created_at,
            **_PLACE,
        }

    def _full(self) -> dict[str, Any]:
        return self._brief() | {
            "required_capabilities": list(self.details.get("required_capabilities", ())),
            "metadata": self.details.get("metadata", {}),
        }

    def shown(self) -> Task:
        """Return the task as HTTP shows it."""
        return Task(
            id=self.id,
            status=self.status,
            claimed_by_agent_id=None if self.holder is None else self.holder.id,
            claimed_at=self.claimed_at,
            attempt=self.attempt,
            max_attempts=self.max_attempts,
            lease_expires_at=self._moment(self.lease_until),
            progress=self.progress,
            result=self.result,
            error=self.error,
            updated_at=self.updated_at,
            **self._full(),
        )

    def summary(self) -> TaskSummary:
        """Return the task as lists show it."""
        return TaskSummary(task_id=self.id, **self._brief())

    def offer(self) -> TaskAvailablePayload:
        """Return the task as it is offered."""
        return TaskAvailablePayload(task_id=self.id, **self._full())

    def assignment(self) -> TaskAssignedPayload:
        """Return the task as its new holder is told of it."""
        return TaskAssignedPayload(
            task_id=self.id,
            attempt=self.attempt,
            max_attempts=self.max_attempts,
            lease_expires_at=self._moment(self.lease_until),
            deadline=self._moment(self.deadline),
            assigned_at=self.claimed_at,
            last_error=self.error,
            **self._full(),
        )


class Tasks:
    """All tasks; ``moved`` is called after each change, so that what became possible happens."""

    def __init__(self, clock: Clock, agents: Agents, moved: Callable[[], None]) -> None:
        self._clock = clock
        self._agents = agents
        self._moved = moved
        self._tasks: dict[str, Record] = {}

    def __iter__(self) -> Iterator[Record]:
        return iter(sorted(self._tasks.values(), key=lambda task: task.urgency))

    def look(self) -> None:
        """Have what is possible now happen."""
        self._moved()

    def create(self, title: str, policy: DispatchPolicy, details: TaskDetails) -> Record:
        """Make a task."""
        now = self._clock.now()
        task = Record(
            id=f"task-{len(self._tasks) + 1}",
            title=title,
            details=details,
            policy=policy,
            created_at=now,
            updated_at=now,
        )
        self._tasks[task.id] = task
        self._moved()
        return task

    def find(self, task_id: str) -> Record:
        """Return a task.

        Raises:
            Refusal: there is none of this id.
        """
        task = self._tasks.get(task_id)
        if task is None:
            raise Refusal(ErrorCode.NOT_FOUND, f"there is no task {task_id} in this agent's groups")
        return task

    def held_by(self, agent: Agent) -> list[Record]:
        """Return what the agent holds, by urgency."""
        return [task for task in self if task.is_held_by(agent)]

    def waiting(self, policy: DispatchPolicy | None = None) -> list[Record]:
        """Return what waits and does not rest, by urgency."""
        now = self._clock.monotonic()
        return [
            task
            for task in self
            if task.status is TaskStatus.TODO
            and task.rests_until <= now
            and policy in {None, task.policy}
        ]

    # --- leases -----------------------------------------------------------------------------------

    def grant(self, task: Record, agent: Agent) -> None:
        """Give the agent the lease; the next ``attempt`` fences off what earlier holders say."""
        now = self._clock.monotonic()
        task.attempt += 1
        task.holder, task.claimed_at, task.granted = agent, self._clock.now(), now
        task.lease_until = now + LEASE_SECONDS
        timeout = task.details.get("timeout_seconds")
        task.deadline = None if timeout is None else now + timeout
        task.progress = None
        task.said_before = len(task.thread)
        self._set(task, TaskStatus.CLAIMED)
        attempt = task.attempt
        assignment = task.assignment()
        self._agents.tell(
            agent,
            EventType.TASK_ASSIGNED,
            assignment,
            task.traceparent,
            lambda: not task.is_held_by(agent, attempt),
        )
        self._moved()

    def claim(self, agent: Agent, task_id: str, slots: int) -> ClaimResult:
        """Give the agent the lease it asks for, or say why not."""
        try:
            task = self._claimable(agent, task_id, slots)
        except Refusal as refusal:
            return ClaimResult(task_id=task_id, success=False, error=refusal.message)
        if not task.is_held_by(agent):
            self.grant(task, agent)
        return ClaimResult(
            task_id=task_id, success=True, claimed_at=task.claimed_at, attempt=task.attempt
        )

    def _claimable(self, agent: Agent, task_id: str, slots: int) -> Record:
        task = self.find(task_id)
        if task.is_held_by(agent):
            return task
        if task.status is not TaskStatus.TODO:
            message = f"task {task_id} is {task.status}; it cannot be claimed"
            raise Refusal(ErrorCode.ALREADY_CLAIMED, message)
        if not agent.can(task.required):
            message = f"task {task_id} requires {', '.join(sorted(task.required))}"
            raise Refusal(ErrorCode.CONFLICT, message)
        if len(self.held_by(agent)) >= slots:
            message = f"this agent already holds {slots} task(s), as many as it announced"
            raise Refusal(ErrorCode.NO_FREE_SLOT, message)
        return task

    def renew(self, agent: Agent, active: Iterable[ActiveTask]) -> None:
        """Prolong the leases that the agent says it works on."""
        for named in active:
            task = self._tasks.get(named.task_id)
            if task is not None and task.is_held_by(agent, named.attempt):
                task.lease_until = self._clock.monotonic() + LEASE_SECONDS

    def renew_since(self, agent: Agent, session: Session) -> None:
        """Prolong the leases that were granted on this connection."""
        for task in self.held_by(agent):
            if task.granted >= session.opened_at:
                task.lease_until = self._clock.monotonic() + LEASE_SECONDS

    def lost(self, agent: Agent, active: Iterable[ActiveTask]) -> list[str]:
        """Return which tasks the agent thinks it has, and has neither now nor ended itself."""
        return sorted(named.task_id for named in active if not self._is_kept(agent, named))

    def _is_kept(self, agent: Agent, named: ActiveTask) -> bool:
        task = self._tasks.get(named.task_id)
        ended = {TaskStatus.DONE, TaskStatus.FAILED}
        return (
            task is not None
            and task.holder is agent
            and task.attempt == named.attempt
            and (task.is_held or task.status in ended)
        )

    def next_change(self) -> float | None:
        """Return the age of the clock at which something happens by itself."""
        moments = [task.rests_until for task in self if task.status is TaskStatus.TODO]
        for task in self:
            if task.is_held:
                moments += [end for end in (task.lease_until, task.deadline) if end is not None]
        now = self._clock.monotonic()
        return min((moment for moment in moments if moment > now), default=None)

    def expire(self) -> None:
        """End the attempts whose lease or deadline has passed."""
        now = self._clock.monotonic()
        for task in [task for task in self if task.is_held]:
            if task.lease_until is not None and task.lease_until <= now:
                self.lose(task)
            elif task.deadline is not None and task.deadline <= now:
                seconds = task.details.get("timeout_seconds")
                self._take_away(
                    task,
                    CancelReason.DEADLINE,
                    f"the attempt took longer than {seconds} s",
                    pause=_retry_pause(task.attempts_used),
                )

    # --- moves ------------------------------------------------------------------------------------

    def update(self, agent: Agent, wish: TaskUpdate) -> TaskUpdateAck:
        """Carry out what the holder of a task says about it.

        Raises:
            Refusal: the attempt is over, or the task cannot go there.
        """
        task = self.find(wish.task_id)
        if not task.is_held_by(agent, wish.attempt):
            raise Refusal(
                ErrorCode.LEASE_LOST,
                f"attempt {wish.attempt} of task {task.id} is over: the task is {task.status} "
                f"in attempt {task.attempt}",
            )
        if wish.status not in _HOLDERS_MOVES:
            raise Refusal(
                ErrorCode.INVALID_TRANSITION,
                f"a task that is {task.status} cannot become {wish.status} by its agent",
            )
        self._move(task, wish)
        self._moved()
        position = TaskPosition(id=task.id, status=task.status, attempt=wish.attempt)
        return TaskUpdateAck(task=position)

    def _move(self, task: Record, wish: TaskUpdate) -> None:
        if wish.status is TaskStatus.FAILED:
            error = wish.error or wish.message or "the agent gave no reason"
            pause = _retry_pause(task.attempts_used)
            self._end(task, error, pause, final=wish.retry is False)
        elif wish.status is TaskStatus.TODO:
            self._rest(task, RELEASE_PAUSE_SECONDS)
        elif wish.status is TaskStatus.DONE:
            task.result, task.error, task.progress = wish.result, None, 1.0
            self._finish(task, TaskStatus.DONE)
        else:
            task.progress = task.progress if wish.progress is None else wish.progress
            self._set(task, wish.status)

    def start(self, agent: Agent, task_id: str) -> None:
        """Move a task that the agent has claimed to IN_PROGRESS; pass over any other."""
        task = self._tasks.get(task_id)
        if task is not None and task.is_held_by(agent) and task.status is TaskStatus.CLAIMED:
            self.resume(task)

    def resume(self, task: Record) -> None:
        """Move a held task to IN_PROGRESS."""
        self._set(task, TaskStatus.IN_PROGRESS)
        self._moved()

    def lose(self, task: Record) -> None:
        """Take the lease away; the task goes to another attempt at once."""
        self._take_away(task, CancelReason.LEASE_LOST, "the agent was lost: its lease ran out")

    def orphan(self, task: Record) -> None:
        """End an attempt whose process is gone; its new process knows nothing of it."""
        self._end(task, "the agent was restarted while it held the task", 0.0)

    def cancel(self, task: Record, reason: str | None) -> None:
        """End a task for good, as a person does."""
        holder, was_held = task.holder, task.is_held
        task.error = reason
        self._finish(task, TaskStatus.CANCELLED)
        if was_held and holder is not None:
            self._tell_cancelled(task, holder, CancelReason.CANCELLED)
        self._moved()

    def retry(self, task: Record) -> None:
        """Give a task a fresh set of attempts, as a person does."""
        task.attempts_used = 0
        self._rest(task, 0.0)
        self._moved()

    def _take_away(
        self, task: Record, reason: CancelReason, error: str, pause: float = 0.0
    ) -> None:
        holder = task.holder
        self._end(task, error, pause)
        if holder is not None:
            self._tell_cancelled(task, holder, reason)
        self._moved()

    def _tell_cancelled(self, task: Record, holder: Agent, reason: CancelReason) -> None:
        said = TaskCancelledPayload(task_id=task.id, attempt=task.attempt, reason=reason)
        self._agents.tell(holder, EventType.TASK_CANCELLED, said, task.traceparent)

    def _end(self, task: Record, error: str, pause: float, *, final: bool = False) -> None:
        task.attempts_used += 1
        task.error = error
        if final or task.attempts_used >= task.max_attempts:
            self._finish(task, TaskStatus.FAILED)
        else:
            self._rest(task, pause)

    def _finish(self, task: Record, status: TaskStatus) -> None:
        self._let_go(task)
        self._set(task, status)

    def _rest(self, task: Record, pause: float) -> None:
        self._let_go(task)
        task.holder = task.claimed_at = None
        task.rests_until = self._clock.monotonic() + pause
        self._set(task, TaskStatus.TODO)

    def _let_go(self, task: Record) -> None:
        task.lease_until = task.deadline = None
        if task.holder is not None:
            task.holder.idle_since = self._clock.monotonic()

    def _set(self, task: Record, status: TaskStatus) -> None:
        task.status = status
        task.updated_at = self._clock.now()


def _retry_pause(attempts_used: int) -> float:
    return min(2.0 ** min(attempts_used, 16), LONGEST_RETRY_SECONDS)
