"""Where the demo keeps in mind how each task stands: a fold over the feed of what happens."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from oblivion.protocol import FINAL_STATUSES, TaskStatus

_STATUSES = {
    "task_assigned": TaskStatus.CLAIMED,
    "task_started": TaskStatus.IN_PROGRESS,
    "task_progress": TaskStatus.IN_PROGRESS,
    "task_blocked": TaskStatus.BLOCKED_ON_HUMAN,
    "task_released": TaskStatus.TODO,
    "task_retrying": TaskStatus.TODO,
    "task_done": TaskStatus.DONE,
    "task_failed": TaskStatus.FAILED,
    "task_cancelled": TaskStatus.CANCELLED,
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that happened, as the feed tells it."""

    type: str
    at: datetime
    agent_id: str | None
    task_id: str | None
    data: dict[str, Any]


def entry_of(item: dict[str, Any]) -> Entry:
    """Return an item of ``/observer/activity``."""
    return Entry(
        type=item["type"],
        at=datetime.fromisoformat(item["at"]),
        agent_id=item.get("agentId"),
        task_id=item.get("taskId"),
        data=item.get("data") or {},
    )


@dataclass(kw_only=True)
class Job:
    """A task as the audience sees it."""

    number: int
    title: str
    answer: str = "no"
    """What the person says when its agent asks."""
    status: TaskStatus = TaskStatus.TODO
    agent_id: str | None = None
    progress: float = 0.0
    questions: int = 0
    error: str | None = None
    result: dict[str, Any] | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def seconds(self) -> float:
        """How long it took, from its first assignment to its end."""
        if self.started_at is None or self.ended_at is None:
            return 0.0
        return (self.ended_at - self.started_at).total_seconds()

    @property
    def findings(self) -> int:
        """How much was found."""
        return int((self.result or {}).get("findings", 0))


@dataclass(kw_only=True)
class Board:
    """All tasks by id, and who is who."""

    agents: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)

    def add(self, task: dict[str, Any]) -> None:
        """Put up a task that was just made."""
        answer = task["metadata"].get("demoAnswer", "no")
        self.jobs[task["id"]] = Job(number=len(self.jobs) + 1, title=task["title"], answer=answer)

    def job_of(self, entry: Entry) -> Job | None:
        """Return the task that something happened to, if it is on the board."""
        return self.jobs.get(entry.task_id or "")

    def apply(self, entry: Entry) -> None:
        """Note what happened."""
        job = self.job_of(entry)
        if job is None:
            return
        job.status = _STATUSES.get(entry.type, job.status)
        job.questions += entry.data.get("kind") == "question"
        job.error = entry.data.get("error") or job.error
        job.progress = entry.data.get("progress") or job.progress
        if entry.type == "task_assigned":
            job.agent_id = entry.agent_id
            job.started_at = job.started_at or entry.at
        if job.status in FINAL_STATUSES:
            job.ended_at = job.ended_at or entry.at

    @property
    def is_finished(self) -> bool:
        """Whether every task has ended, one way or another."""
        return all(job.status in FINAL_STATUSES for job in self.jobs.values())

    @property
    def is_done(self) -> bool:
        """Whether every task was done."""
        return all(job.status is TaskStatus.DONE for job in self.jobs.values())

    @property
    def seconds(self) -> float:
        """How long all tasks took together, from the first assignment to the last end."""
        starts = [job.started_at for job in self.jobs.values() if job.started_at]
        ends = [job.ended_at for job in self.jobs.values() if job.ended_at]
        return (max(ends) - min(starts)).total_seconds() if starts and ends else 0.0
