"""Where admins decide over HTTP which of the agents that asked may join."""

from fastapi import APIRouter
from starlette.responses import Response

from nexus.api.answers import answer
from nexus.api.bodies import JsonRoute
from nexus.api.door import AdminDoor
from nexus.api.paging import Page, Paged, page_of
from nexus.domain.principal import Principal
from nexus.services import agents, approval
from nexus.services.approval import Approve, Reject
from nexus.services.resources import Agent, Decisions, PendingCount
from nexus.store.tx import Tx

router = APIRouter(prefix="/observer/agents", tags=["registration"], route_class=JsonRoute)


@router.get("/pending", response_model=Page[Agent])
async def list_pending_agents(door: AdminDoor, paging: Paged) -> Response:
    """List the agents that wait for a decision, oldest first."""

    def find(tx: Tx, caller: Principal) -> Page[Agent]:
        rows = approval.pending(tx, caller.tenant_id, limit=paging.limit, cursor=paging.cursor)
        return page_of(rows, paging.limit, lambda shown: agents.present(tx, shown))

    return answer(await door.read(find))


@router.get("/pending/count", response_model=PendingCount)
async def count_pending_agents(door: AdminDoor) -> Response:
    """Say how many agents wait for a decision."""
    return answer(await door.read(lambda tx, caller: approval.count_pending(tx, caller.tenant_id)))


@router.post("/approve", response_model=Decisions)
async def approve_agents(door: AdminDoor, wish: Approve) -> Response:
    """Let several agents in; each is answered on its own, and a refused one stops no other."""
    return await door.post(lambda tx, caller: approval.approve_all(tx, caller, wish))


@router.post("/{agent_id}/approve", response_model=Agent)
async def approve_agent(door: AdminDoor, agent_id: str) -> Response:
    """Let an agent in: it joins the group that it asked to join, and may connect."""
    return await door.post(lambda tx, caller: approval.approve(tx, caller, agent_id))


@router.post("/{agent_id}/reject", response_model=Agent)
async def reject_agent(door: AdminDoor, agent_id: str, wish: Reject | None = None) -> Response:
    """Do not let an agent in; it is told the reason when it asks."""
    return await door.post(
        lambda tx, caller: approval.reject(tx, caller, agent_id, wish or Reject())
    )
