"""Where people decide about tools from the pages; each function is named as the API's operation."""

from starlette.responses import Response

from nexus.domain.tool_policy import Rule
from nexus.observer.task_acts import words
from nexus.observer.visit import Visit
from nexus.services import approvals, tool_rules
from nexus.services.approvals import Approve, Deny

_LISTS = ("tools", "groups", "agents")
_NUMBERS = ("per_minute", "approval_seconds")


async def approve_call(visit: Visit) -> Response:
    """Approve exactly the call that was seen, once."""
    await _decide(visit, visit.wish(Approve))
    return visit.back("/ui/tools", "call-approved")


async def deny_call(visit: Visit) -> Response:
    """Deny a call; the agent is told the reason."""
    await _decide(visit, Deny(reason=visit.form.get("reason")))
    return visit.back("/ui/tools", "call-denied")


async def _decide(visit: Visit, wish: Approve | Deny) -> None:
    approval_id = visit.names["approval_id"]
    await visit.write(
        lambda tx, caller: approvals.decide_of(
            tx, caller.tenant_id, caller.client_id, approval_id, wish
        )
    )


async def create_tool_rule(visit: Visit) -> Response:
    """Add a rule behind the others, once however often its form is sent."""
    rule = Rule.model_validate(_said(visit))
    await visit.once(lambda tx, caller: tool_rules.create(tx, caller, rule))
    return visit.go("/ui/tools", "rule-added")


def _said(visit: Visit) -> dict[str, object]:
    said: dict[str, object] = {name: words(visit.form.get(name, "")) for name in _LISTS}
    said |= {name: int(visit.form[name]) for name in _NUMBERS if visit.form.get(name, "").isdigit()}
    said["name"] = visit.form.get("name", "")
    said["effect"] = visit.form.get("effect", "allow")
    said["requires_approval"] = "requires_approval" in visit.form
    return said


async def remove_tool_rule(visit: Visit) -> Response:
    """Remove a rule; what it allowed is allowed no more."""
    rule_id = visit.names["rule_id"]
    await visit.write(lambda tx, caller: tool_rules.remove(tx, caller, rule_id))
    return visit.go("/ui/tools", "rule-removed")
