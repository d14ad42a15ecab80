"""Where people see over HTTP how Slack is connected, and see to its channels."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from nexus.api.answers import answer
from nexus.api.bodies import JsonRoute
from nexus.api.door import AdminDoor, Door, ViewerDoor
from nexus.domain.errors import Conflict
from nexus.services import workspace as desk
from nexus.services.workspace import (
    Invitations,
    Invite,
    LinkChannel,
    PausedAgent,
    SlackChannel,
    SlackStatus,
    Workspace,
)

router = APIRouter(prefix="/observer/slack", tags=["slack"], route_class=JsonRoute)


async def _workspace(request: Request) -> Workspace | None:
    workspace: Workspace | None = request.app.state.workspace
    return workspace


Workspaces = Annotated[Workspace | None, Depends(_workspace)]


@router.get("", response_model=SlackStatus)
async def show_slack(door: ViewerDoor, workspace: Workspaces) -> Response:
    """Show how Slack is connected to this node, its channels, and the agents that are paused."""
    mine = _mine(door, workspace)
    state = None if mine is None else mine.state
    return answer(await door.read(lambda tx, caller: desk.status(tx, caller.tenant_id, state)))


@router.post("/channels", response_model=SlackChannel)
async def link_channel(door: AdminDoor, workspace: Workspaces, wish: LinkChannel) -> Response:
    """Give a group or project a channel that is there already, instead of one of its own."""
    owner = await door.read(lambda tx, caller: desk.owned(tx, caller.tenant_id, wish.owner_id))
    channel_id, name = await _connected(door, workspace).enter(wish.channel)
    return await door.post(lambda tx, caller: desk.link(tx, owner, channel_id, name))


@router.post("/invite", response_model=Invitations)
async def invite_to_channel(door: AdminDoor, workspace: Workspaces, wish: Invite) -> Response:
    """Invite people, by their addresses, into the channel of a group or project."""
    channel_id = await door.read(
        lambda tx, caller: desk.channel_id(tx, caller.tenant_id, wish.owner_id)
    )
    invited = await _connected(door, workspace).invite(channel_id, wish.emails)
    return await door.post(lambda tx, caller: invited)


@router.post("/agents/{agent_id}/resume", response_model=PausedAgent)
async def resume_in_slack(door: AdminDoor, agent_id: str) -> Response:
    """Have the messages of an agent shown again that was paused for going round in circles."""
    return await door.post(lambda tx, caller: desk.resume(tx, caller, agent_id))


def _mine(door: Door, workspace: Workspace | None) -> Workspace | None:
    """Return the workspace if it is that of the caller's tenant."""
    if workspace is None or workspace.tenant_id != door.claimed.tenant_id:
        return None
    return workspace


def _connected(door: Door, workspace: Workspace | None) -> Workspace:
    mine = _mine(door, workspace)
    if mine is None:
        raise Conflict("Slack is not connected here; set SLACK_BOT_TOKEN and start Nexus anew")
    return mine
