"""Where tools are shown: calls that wait for a person, who may what, all that was called."""

from dataclasses import dataclass

from pydantic import Field
from starlette.responses import Response

from nexus.domain.principal import Principal
from nexus.domain.tool_calls import CallState
from nexus.observer.visit import Visit, further
from nexus.services import approvals, tool_calls, tool_gate, tool_rules
from nexus.services.command import Command
from nexus.services.resources import KnownTool, ToolCall, ToolRule
from nexus.services.tool_gate import Gate
from nexus.store.tx import Tx

_ROWS = 50
_WAITING = 50


class CallFilter(Command):
    """Which calls to list; ``cursor`` continues below the one with that id."""

    state: CallState | None = None
    cursor: str | None = Field(default=None, max_length=64)


@dataclass(frozen=True, kw_only=True)
class Toolroom:
    """The tools of a tenant; ``calls`` are not shown to viewers, who see no parameters."""

    waiting: list[ToolCall]
    tools: list[KnownTool]
    rules: list[ToolRule]
    calls: list[ToolCall]
    more: bool


async def page(visit: Visit) -> Response:
    """Show what waits for a decision, then tools, rules and calls."""
    wanted = CallFilter.model_validate(visit.asked_of("state", "cursor"))
    gate = visit.house.gate()
    room = await visit.read(lambda tx, caller: _room(tx, caller, gate, wanted))
    asked = {} if wanted.state is None else {"state": str(wanted.state)}
    next_page = further(asked, room.calls[-1].id if room.more else None)
    return visit.page(
        "tools.html", room=room, asked=asked, cursor=wanted.cursor, next_page=next_page
    )


def _room(tx: Tx, caller: Principal, gate: Gate, wanted: CallFilter) -> Toolroom:
    rows = tool_calls.newest(
        tx, caller.tenant_id, limit=_ROWS, cursor=wanted.cursor, state=wanted.state
    )
    calls = [tool_calls.view(row) for row in rows[:_ROWS]] if caller.is_admin else []
    return Toolroom(
        waiting=waiting(tx, caller, _WAITING),
        tools=tool_gate.all_tools(tx, gate, caller.tenant_id),
        rules=tool_rules.shown(tx, caller.tenant_id, gate.rules),
        calls=calls,
        more=caller.is_admin and len(rows) > _ROWS,
    )


def waiting(tx: Tx, caller: Principal, limit: int) -> list[ToolCall]:
    """Return the calls that wait for a person; admins see exactly what they decide about."""
    rows = approvals.pending(tx, caller.tenant_id, limit=limit, cursor=None)[:limit]
    return [tool_calls.view(row, exact=caller.is_admin) for row in rows]
