"""Where projects are reached over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from nexus.api.answers import answer, empty
from nexus.api.bodies import JsonRoute
from nexus.api.door import AdminDoor, ViewerDoor
from nexus.api.paging import Page, Paged, Paging, page_of
from nexus.domain.principal import Principal
from nexus.services import groups, projects, statistics
from nexus.services.projects import CreateProject, EditProject
from nexus.services.resources import Project, ProjectStats
from nexus.store.tx import Tx

router = APIRouter(prefix="/projects", tags=["projects"], route_class=JsonRoute)

OfGroup = Annotated[str | None, Query(alias="groupId", description="id or slug of a group")]


@router.post("", status_code=201, response_model=Project)
async def create_project(door: AdminDoor, wish: CreateProject) -> Response:
    """Make a scope of work within a group."""
    return await door.post(
        lambda tx, caller: projects.create(tx, caller, wish), status=201, location="/projects/{id}"
    )


@router.get("", response_model=Page[Project])
async def list_projects(door: ViewerDoor, paging: Paged, group_id: OfGroup = None) -> Response:
    """List the open projects, oldest first."""
    return answer(await door.read(lambda tx, caller: _list(tx, caller, paging, group_id)))


def _list(tx: Tx, caller: Principal, paging: Paging, group_id: str | None) -> Page[Project]:
    group = None if group_id is None else groups.row(tx, caller.tenant_id, group_id)["id"]
    rows = projects.list_all(
        tx, caller.tenant_id, limit=paging.limit, cursor=paging.cursor, group_id=group
    )
    return page_of(rows, paging.limit, lambda shown: [projects.view(row) for row in shown])


@router.get("/{project_id}", response_model=Project)
async def show_project(door: ViewerDoor, project_id: str) -> Response:
    """Show a project, by its id, or by its slug where only one has it."""
    row = await door.read(lambda tx, caller: projects.row(tx, caller.tenant_id, project_id))
    return answer(projects.view(row))


@router.patch("/{project_id}", response_model=Project)
async def edit_project(door: AdminDoor, project_id: str, wish: EditProject) -> Response:
    """Change a project; a new dispatch policy holds from the next task on."""
    return answer(await door.write(lambda tx, caller: projects.edit(tx, caller, project_id, wish)))


@router.delete("/{project_id}", status_code=204)
async def archive_project(door: AdminDoor, project_id: str) -> Response:
    """Archive a project: its waiting tasks stay, but are no longer handed out."""
    await door.write(lambda tx, caller: projects.archive(tx, caller, project_id))
    return empty()


@router.get("/{project_id}/stats", response_model=ProjectStats)
async def project_stats(door: ViewerDoor, project_id: str) -> Response:
    """Show how many of a project's tasks stand where."""
    return answer(
        await door.read(lambda tx, caller: statistics.of_project(tx, caller.tenant_id, project_id))
    )
