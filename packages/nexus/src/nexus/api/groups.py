"""Where groups and their members are reached over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from nexus.api.answers import answer, empty
from nexus.api.bodies import JsonRoute
from nexus.api.door import AdminDoor, ViewerDoor
from nexus.api.paging import Page, Paged, Paging, page_of
from nexus.domain.principal import Principal
from nexus.services import groups
from nexus.services.groups import AddMember, CreateGroup, EditGroup
from nexus.services.resources import Group, Member
from nexus.store.tx import Tx

router = APIRouter(prefix="/groups", tags=["groups"], route_class=JsonRoute)

Archived = Annotated[bool, Query(description="whether to list archived groups too")]


@router.post("", status_code=201, response_model=Group)
async def create_group(door: AdminDoor, wish: CreateGroup) -> Response:
    """Make a team of agents."""
    return await door.post(
        lambda tx, caller: groups.create(tx, caller, wish), status=201, location="/groups/{id}"
    )


@router.get("", response_model=Page[Group])
async def list_groups(door: ViewerDoor, paging: Paged, archived: Archived = False) -> Response:
    """List the groups, oldest first."""
    return answer(await door.read(lambda tx, caller: _list(tx, caller, paging, archived)))


def _list(tx: Tx, caller: Principal, paging: Paging, archived: bool) -> Page[Group]:
    rows = groups.list_all(
        tx, caller.tenant_id, limit=paging.limit, cursor=paging.cursor, archived=archived
    )
    return page_of(rows, paging.limit, lambda shown: [groups.view(row) for row in shown])


@router.get("/{group_id}", response_model=Group)
async def show_group(door: ViewerDoor, group_id: str) -> Response:
    """Show a group, by its id or slug."""
    row = await door.read(lambda tx, caller: groups.row(tx, caller.tenant_id, group_id))
    return answer(groups.view(row))


@router.patch("/{group_id}", response_model=Group)
async def edit_group(door: AdminDoor, group_id: str, wish: EditGroup) -> Response:
    """Change a group's name or description."""
    return answer(await door.write(lambda tx, caller: groups.edit(tx, caller, group_id, wish)))


@router.delete("/{group_id}", status_code=204)
async def archive_group(door: AdminDoor, group_id: str) -> Response:
    """Archive a group: its tasks are no longer handed out, nothing is deleted."""
    await door.write(lambda tx, caller: groups.archive(tx, caller, group_id))
    return empty()


@router.get("/{group_id}/members", response_model=Page[Member])
async def list_members(door: ViewerDoor, group_id: str) -> Response:
    """List all agents of a group, in the order in which they joined."""
    found = await door.read(lambda tx, caller: groups.members(tx, caller.tenant_id, group_id))
    return answer(Page(items=found))


@router.post("/{group_id}/members", status_code=201, response_model=Member)
async def add_member(door: AdminDoor, group_id: str, wish: AddMember) -> Response:
    """Let an agent join, by its id or client id; a member already gets the role."""
    return await door.post(
        lambda tx, caller: groups.add_member(tx, caller, group_id, wish),
        status=201,
    )


@router.delete("/{group_id}/members/{agent_id}", status_code=204)
async def remove_member(door: AdminDoor, group_id: str, agent_id: str) -> Response:
    """Take an agent out of a group; what it holds it may finish."""
    await door.write(lambda tx, caller: groups.remove_member(tx, caller, group_id, agent_id))
    return empty()
