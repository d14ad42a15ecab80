"""Where a person sees first what needs one, then how all is, then what happens."""

from collections.abc import Collection
from dataclasses import dataclass

from markupsafe import Markup
from starlette.responses import Response

from nexus.domain.principal import Principal
from nexus.observer import tool_pages
from nexus.observer.feed import Sentence, sentences
from nexus.observer.house import House
from nexus.observer.plots import Plot, plots
from nexus.observer.pulse import Pulse
from nexus.observer.visit import Visit
from nexus.services import (
    activity,
    agents,
    approval,
    approvals,
    history,
    statistics,
    tasks,
    threads,
    views,
)
from nexus.services.resources import Agent, Stats, ToolCall
from nexus.services.tasks import TaskFilter
from nexus.store.tx import Tx
from oblivion.protocol import Task, TaskStatus, ThreadMessage

_MOST = 6
_FEED = 40
_DAY_MS = 24 * 3600 * 1000
_RECENT_MS = _DAY_MS
"""For so long a failure is news."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A task that waits for a person, and what was said last."""

    task: Task
    asked: ThreadMessage | None


@dataclass(frozen=True, kw_only=True)
class Overview:
    """How a tenant is."""

    stats: Stats
    done_today: int
    plots: list[Plot]
    is_counted: bool
    """Whether the plots show all of the hour."""
    by_status: dict[str, int]
    pending: list[Agent]
    pending_count: int
    calls: list[ToolCall]
    calls_count: int
    questions: list[Question]
    failures: list[Task]
    feed: list[Sentence]

    @property
    def needs(self) -> int:
        """How much waits for a person."""
        return self.pending_count + self.calls_count + len(self.questions) + len(self.failures)


async def page(visit: Visit) -> Response:
    """Show how all is; an old address of a task leads to the task."""
    task_id = visit.asked.get("task")
    if task_id is not None:
        found = await visit.read(lambda tx, caller: tasks.find(tx, caller, task_id)["id"])
        return visit.go(f"/ui/tasks/{found}")
    content = await visit.read_together(lambda tx, caller: _content(tx, caller, visit.house))
    return visit.page("overview.html", content=content)


def _content(tx: Tx, caller: Principal, house: House) -> Markup:
    glance = _glance(tx, caller, house.pulse)
    return house.look.part("glance.html", glance=glance, who=caller, now=tx.now)


def _glance(tx: Tx, caller: Principal, pulse: Pulse) -> Overview:
    tenant_id = caller.tenant_id
    waiting = approval.pending(tx, tenant_id, limit=_MOST, cursor=None)[:_MOST]
    calls = tool_pages.waiting(tx, caller, _MOST)
    stats = statistics.of_tenant(tx, tenant_id)
    hour = pulse.hour(tx, tenant_id)
    return Overview(
        stats=stats,
        done_today=history.done_since(tx, tenant_id, tx.now - tx.now % _DAY_MS),
        plots=plots(hour.minutes, stats.tasks.todo),
        is_counted=hour.is_whole,
        by_status=statistics.of_agents(tx, tenant_id),
        pending=agents.present(tx, waiting),
        pending_count=approval.count_pending(tx, tenant_id).count,
        calls=calls,
        calls_count=approvals.count_pending(tx, tenant_id),
        questions=_questions(tx, tenant_id, {call.task_id for call in calls}),
        failures=_failures(tx, tenant_id),
        feed=sentences(tx, activity.newest(tx, tenant_id, limit=_FEED)),
    )


def _questions(tx: Tx, tenant_id: str, shown: Collection[str | None]) -> list[Question]:
    """Return the tasks that wait for an answer; one whose call waits is ``shown`` as that."""
    wanted = TaskFilter(status=TaskStatus.BLOCKED_ON_HUMAN, limit=_MOST + len(shown))
    found = tasks.search(tx, tenant_id, wanted)
    blocked = [row for row in found if row["id"] not in shown][:_MOST]
    return [Question(task=views.task(row), asked=threads.newest(tx, row["id"])) for row in blocked]


def _failures(tx: Tx, tenant_id: str) -> list[Task]:
    rows = tasks.search(tx, tenant_id, TaskFilter(status=TaskStatus.FAILED, limit=_MOST))
    recent = [row for row in rows[:_MOST] if (row["finished_at"] or 0) > tx.now - _RECENT_MS]
    return [views.task(row) for row in recent]
