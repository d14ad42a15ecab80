"""Where tasks are found: a table that goes on page by page, a board by status, a form for more."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from nexus.domain.errors import NexusError
from nexus.domain.principal import Principal
from nexus.observer.visit import Visit, further
from nexus.services import agents, projects, statistics, tasks, views
from nexus.services.resources import Project, TaskCounts
from nexus.services.tasks import TaskFilter
from nexus.store.tx import Row, Tx
from oblivion.protocol import Task, TaskStatus

_ROWS = 50
_CARDS = 20
_CHOICES = 200
_FILTERS = ("text", "status", "project_id", "agent_id", "priority")

COLUMNS: dict[str, tuple[TaskStatus, ...]] = {
    "Waiting": (TaskStatus.TODO,),
    "Running": (TaskStatus.CLAIMED, TaskStatus.IN_PROGRESS),
    "Needs a person": (TaskStatus.BLOCKED_ON_HUMAN,),
    "Done": (TaskStatus.DONE,),
    "Failed": (TaskStatus.FAILED,),
}
"""The board's columns; what was cancelled is in the table."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A page of tasks; ``names`` are those of the agents that have them."""

    tasks: list[Task]
    more: bool
    names: Mapping[str, str]
    counts: TaskCounts
    projects: list[Project]


@dataclass(frozen=True, kw_only=True)
class Column:
    """The newest tasks of one stage, and how many there are."""

    name: str
    status: str
    number: int
    tasks: list[Task]


async def table(visit: Visit) -> Response:
    """List tasks, newest first, those that fit."""
    asked = visit.asked_of(*_FILTERS)
    cursor = visit.asked.get("cursor")
    wanted = TaskFilter.model_validate({**asked, "cursor": cursor, "limit": _ROWS})
    found = await visit.read(lambda tx, caller: _found(tx, caller, wanted))
    next_page = further(asked, found.tasks[-1].id if found.more else None)
    return visit.page("tasks.html", found=found, asked=asked, cursor=cursor, next_page=next_page)


def _found(tx: Tx, caller: Principal, wanted: TaskFilter) -> Found:
    rows = tasks.search(tx, caller.tenant_id, _resolved(tx, caller, wanted))
    shown = rows[:_ROWS]
    return Found(
        tasks=[views.task(row) for row in shown],
        more=len(rows) > _ROWS,
        names=names_of(tx, shown),
        counts=statistics.of_tasks(tx, caller.tenant_id),
        projects=open_projects(tx, caller),
    )


def _resolved(tx: Tx, caller: Principal, wanted: TaskFilter) -> TaskFilter:
    """Put an agent's id in the place of its client id; whoever is none has no tasks."""
    return wanted.model_copy(update={"agent_id": own_id(tx, caller, wanted.agent_id)})


def own_id(tx: Tx, caller: Principal, named: str | None) -> str | None:
    """Return the id of the agent that is named by it or its client id; else what was said."""
    try:
        return None if named is None else str(agents.row(tx, caller.tenant_id, named)["id"])
    except NexusError:
        return named


def names_of(tx: Tx, rows: Any) -> dict[str, str]:
    """Return the names of the agents that hold tasks, by their ids."""
    ids = sorted({row["holder_agent_id"] for row in rows if row["holder_agent_id"]})
    return agents.names(tx, ids)


def open_projects(tx: Tx, caller: Principal) -> list[Project]:
    """Return the projects that take tasks."""
    rows = projects.list_all(tx, caller.tenant_id, limit=_CHOICES, cursor=None)
    return [projects.view(row) for row in rows[:_CHOICES]]


async def board(visit: Visit) -> Response:
    """Show the newest tasks of each stage side by side."""

    def find(tx: Tx, caller: Principal) -> dict[str, Any]:
        counts = tasks.counts(tx, caller.tenant_id)
        found = {name: _newest(tx, caller, stages) for name, stages in COLUMNS.items()}
        columns = [
            Column(
                name=name,
                status=COLUMNS[name][-1],
                number=sum(counts[status] for status in COLUMNS[name]),
                tasks=[views.task(row) for row in rows],
            )
            for name, rows in found.items()
        ]
        names = names_of(tx, [row for rows in found.values() for row in rows])
        return {"columns": columns, "names": names}

    return visit.page("board.html", **await visit.read(find))


def _newest(tx: Tx, caller: Principal, stages: tuple[TaskStatus, ...]) -> list[Row]:
    found: list[Row] = []
    for status in stages:
        wanted = TaskFilter(status=status, limit=_CARDS)
        found += tasks.search(tx, caller.tenant_id, wanted)[:_CARDS]
    return sorted(found, key=lambda row: row["id"], reverse=True)[:_CARDS]


async def new(visit: Visit) -> Response:
    """Show the form for a new task."""
    choices = await visit.read(open_projects)
    return visit.page("task_new.html", projects=choices, wanted=visit.asked.get("project_id"))
