"""Where tools are reached over HTTP: what there is, who may what, what waits for a person."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from nexus.api.answers import answer, empty
from nexus.api.bodies import JsonRoute
from nexus.api.door import AdminDoor, AgentDoor, ViewerDoor
from nexus.api.paging import Page, Paged, Paging, page_of
from nexus.domain.principal import Principal
from nexus.domain.tool_calls import CallState
from nexus.domain.tool_policy import Rule
from nexus.services import approvals, tool_calls, tool_gate, tool_rules
from nexus.services.approvals import Approve, Deny
from nexus.services.resources import KnownTool, ToolCall, ToolRule
from nexus.services.tool_gate import Gate
from nexus.store.tx import Tx
from oblivion.protocol import ToolInfo

router = APIRouter(tags=["tools"], route_class=JsonRoute)

State = Annotated[CallState | None, Query(description="only calls that stand there")]


async def _gate_of(request: Request) -> Gate:
    gate: Gate = request.app.state.gate()
    return gate


Judged = Annotated[Gate, Depends(_gate_of)]
"""What calls are judged by just now."""


@router.get("/tools", response_model=list[ToolInfo])
async def list_usable_tools(door: AgentDoor, gate: Judged) -> Response:
    """List what this agent may have done for it, with the JSON Schemas of the parameters."""

    def find(tx: Tx, caller: Principal) -> list[ToolInfo]:
        return tool_gate.usable_by(tx, gate, caller.require_agent())

    return answer(await door.read(find))


@router.get("/observer/tools", response_model=Page[KnownTool])
async def list_tools(door: ViewerDoor, gate: Judged) -> Response:
    """List all tools that agents could be allowed: those of this Nexus, and what agents offer."""
    found = await door.read(lambda tx, caller: tool_gate.all_tools(tx, gate, caller.tenant_id))
    return answer(Page(items=found))


@router.get("/observer/tools/rules", response_model=Page[ToolRule])
async def list_tool_rules(door: ViewerDoor, gate: Judged) -> Response:
    """List the rules, in the order in which they hold; without one, nothing is allowed."""
    found = await door.read(lambda tx, caller: tool_rules.shown(tx, caller.tenant_id, gate.rules))
    return answer(Page(items=found))


@router.post("/observer/tools/rules", status_code=201, response_model=ToolRule)
async def create_tool_rule(door: AdminDoor, wish: Rule) -> Response:
    """Add a rule behind the others: it allows, or denies."""
    return await door.post(lambda tx, caller: tool_rules.create(tx, caller, wish), status=201)


@router.delete("/observer/tools/rules/{rule_id}", status_code=204)
async def remove_tool_rule(door: AdminDoor, rule_id: str) -> Response:
    """Remove a rule; what it allowed is allowed no more."""
    await door.write(lambda tx, caller: tool_rules.remove(tx, caller, rule_id))
    return empty()


@router.get("/observer/tools/calls", response_model=Page[ToolCall])
async def list_tool_calls(door: AdminDoor, paging: Paged, state: State = None) -> Response:
    """List the calls, newest first, with their parameters in short and without secrets."""

    def find(tx: Tx, caller: Principal) -> Page[ToolCall]:
        rows = tool_calls.newest(
            tx, caller.tenant_id, limit=paging.limit, cursor=paging.cursor, state=state
        )
        return page_of(rows, paging.limit, lambda shown: [tool_calls.view(row) for row in shown])

    return answer(await door.read(find))


@router.get("/observer/approvals", response_model=Page[ToolCall])
async def list_approvals(door: AdminDoor, paging: Paged) -> Response:
    """List the calls that wait for a person, oldest first, exactly as they would be made."""
    return answer(await door.read(lambda tx, caller: _pending(tx, caller, paging)))


def _pending(tx: Tx, caller: Principal, paging: Paging) -> Page[ToolCall]:
    rows = approvals.pending(tx, caller.tenant_id, limit=paging.limit, cursor=paging.cursor)
    return page_of(
        rows, paging.limit, lambda shown: [tool_calls.view(row, exact=True) for row in shown]
    )


@router.post("/observer/approvals/{approval_id}/approve", response_model=ToolCall)
async def approve_call(door: AdminDoor, approval_id: str, wish: Approve | None = None) -> Response:
    """Approve exactly this call, once; it is judged anew, and then made."""
    return await door.post(lambda tx, caller: _decide(tx, caller, approval_id, wish or Approve()))


@router.post("/observer/approvals/{approval_id}/deny", response_model=ToolCall)
async def deny_call(door: AdminDoor, approval_id: str, wish: Deny | None = None) -> Response:
    """Deny a call; the agent is told the reason."""
    return await door.post(lambda tx, caller: _decide(tx, caller, approval_id, wish or Deny()))


def _decide(tx: Tx, caller: Principal, approval_id: str, wish: Approve | Deny) -> ToolCall:
    row = approvals.decide_of(tx, caller.tenant_id, caller.client_id, approval_id, wish)
    return tool_calls.view(row, exact=True)
