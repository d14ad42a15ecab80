"""Where groups and projects are seen: all of them, and each one with its members and its tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.responses import Response

from nexus.domain.principal import Principal
from nexus.observer.agent_pages import open_groups
from nexus.observer.visit import Visit
from nexus.services import agents, groups, projects, roster, slack, statistics, tasks, views
from nexus.services.resources import Agent, Group, Member, Project, TaskCounts
from nexus.services.tasks import TaskFilter
from nexus.store.tx import Row, Tx
from oblivion.protocol import Task

_ROWS = 50
_MEMBERS = 100
_PROJECTS = 200
_TASKS = 12


@dataclass(frozen=True, kw_only=True)
class GroupShown:
    """A group with who is in it and what it works on."""

    group: Group
    members: list[tuple[Member, Agent]]
    more_members: int
    projects: list[Project]
    counts: Mapping[str, TaskCounts]
    channel: Row | None


@dataclass(frozen=True, kw_only=True)
class ProjectShown:
    """A project with how its tasks stand, and the newest of them."""

    project: Project
    counts: TaskCounts
    tasks: list[Task]
    channel: Row | None


async def all_groups(visit: Visit) -> Response:
    """List the groups, oldest first, with how many agents and projects each has."""
    cursor, archived = visit.asked.get("cursor"), "archived" in visit.asked

    def find(tx: Tx, caller: Principal) -> tuple[Sequence[Row], dict[str, tuple[int, int]]]:
        rows = groups.list_all(tx, caller.tenant_id, limit=_ROWS, cursor=cursor, archived=archived)
        return rows, statistics.of_groups(tx, [row["id"] for row in rows])

    rows, sizes = await visit.read(find)
    shown = [groups.view(row) for row in rows[:_ROWS]]
    following = shown[-1].id if len(rows) > _ROWS else None
    return visit.page(
        "groups.html", groups=shown, sizes=sizes, following=following, archived=archived
    )


async def all_projects(visit: Visit) -> Response:
    """List the open projects, oldest first."""
    cursor, group_id = visit.asked.get("cursor"), visit.asked.get("group_id")

    def find(tx: Tx, caller: Principal) -> tuple[Sequence[Row], dict[str, TaskCounts], list[Group]]:
        rows = projects.list_all(
            tx, caller.tenant_id, limit=_ROWS, cursor=cursor, group_id=group_id
        )
        counts = statistics.of_projects(tx, [row["id"] for row in rows[:_ROWS]])
        return rows, counts, open_groups(tx, caller)

    rows, counts, choices = await visit.read(find)
    shown = [projects.view(row) for row in rows[:_ROWS]]
    return visit.page(
        "projects.html",
        projects=shown,
        counts=counts,
        groups=choices,
        group_id=group_id,
        following=shown[-1].id if len(rows) > _ROWS else None,
    )


async def group(visit: Visit) -> Response:
    """Show a group, by its id or slug."""
    group_id = visit.names["group_id"]
    shown = await visit.read(lambda tx, caller: _group(tx, caller, group_id))
    return visit.page("group.html", shown=shown)


def _group(tx: Tx, caller: Principal, group_id: str) -> GroupShown:
    found = groups.row(tx, caller.tenant_id, group_id)
    shown = groups.members(tx, caller.tenant_id, found["id"], limit=_MEMBERS)
    rows = roster.named(tx, [member.agent_id for member in shown])
    size, _ = statistics.of_groups(tx, [found["id"]])[found["id"]]
    work = projects.list_all(
        tx, caller.tenant_id, limit=_PROJECTS, cursor=None, group_id=found["id"]
    )
    return GroupShown(
        group=groups.view(found),
        members=list(zip(shown, agents.present(tx, rows), strict=True)),
        more_members=size - len(shown),
        projects=[projects.view(row) for row in work[:_PROJECTS]],
        counts=statistics.of_projects(tx, [row["id"] for row in work[:_PROJECTS]]),
        channel=slack.channel_of(tx, found["id"]),
    )


async def project(visit: Visit) -> Response:
    """Show a project, by its id or slug."""
    project_id = visit.names["project_id"]
    shown = await visit.read(lambda tx, caller: _project(tx, caller, project_id))
    return visit.page("project.html", shown=shown)


def _project(tx: Tx, caller: Principal, project_id: str) -> ProjectShown:
    found = projects.row(tx, caller.tenant_id, project_id)
    newest = tasks.search(tx, caller.tenant_id, TaskFilter(project_id=found["id"], limit=_TASKS))
    return ProjectShown(
        project=projects.view(found),
        counts=statistics.of_tasks(tx, caller.tenant_id, found["id"]),
        tasks=[views.task(row) for row in newest[:_TASKS]],
        channel=slack.channel_of(tx, found["id"]),
    )


async def new_group(visit: Visit) -> Response:
    """Show the form for a new group."""
    await visit.read(lambda tx, caller: None)
    return visit.page("group_new.html")


async def new_project(visit: Visit) -> Response:
    """Show the form for a new project."""
    choices = await visit.read(open_groups)
    return visit.page("project_new.html", groups=choices, group_id=visit.asked.get("group_id"))
