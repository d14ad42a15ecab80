"""Where it is judged whether a call may be made: by its tool, parameters, rules and limits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from nexus.domain.tool_calls import CallState, canonical, params_hash
from nexus.domain.tool_catalogue import Action, misfit
from nexus.domain.tool_policy import (
    Asker,
    KnownRule,
    Refusal,
    Wish,
    judge,
    usable,
    within_limits,
)
from nexus.services import resources, tool_calls, tool_offers, tool_rules
from nexus.store.schema import agents, group_members, groups, tenants
from nexus.store.tool_tables import tool_calls as table
from nexus.store.tx import Row, Tx
from oblivion.protocol import ToolCode, ToolInfo


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool that this node runs: for which tenants, what it can do, why perhaps not just now."""

    name: str
    tenants: frozenset[str]
    actions: Mapping[str, Action] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What calls are judged by on this node, at one moment.

    ``rules`` are those of the settings; ``audit_key`` seals what is told of each call.
    """

    tools: Mapping[str, Tool] = field(default_factory=dict)
    rules: Sequence[KnownRule] = ()
    audit_key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A call that may be made: what it does, under which rule, and by which agent, if by one."""

    action: Action
    rule: KnownRule
    provider_agent_id: str | None = None


def inspect(tx: Tx, gate: Gate, call: Row) -> Passage | Refusal:
    """Judge a call by all that holds now; until the commit no other call of its agent is judged."""
    tx.exclude("tool calls", call["agent_id"])
    asking = tx.one(
        sa.select(agents, tenants.c.slug, tenants.c.stopped_at)
        .join_from(agents, tenants)
        .where(agents.c.id == call["agent_id"])
    )
    if asking is None or asking["disabled_at"] is not None or asking["stopped_at"] is not None:
        return Refusal(code=ToolCode.AGENTS_STOPPED, error="an admin has stopped this agent")
    stale = _stale(tx, call)
    if stale is not None:
        return stale
    found = _find(tx, gate, call, asking["slug"])
    if isinstance(found, Refusal):
        return found
    action, provider_agent_id = found
    rule = _rule(tx, gate, call, asking, action)
    if isinstance(rule, Refusal):
        return rule
    return Passage(action=action, rule=rule, provider_agent_id=provider_agent_id)


def _stale(tx: Tx, call: Row) -> Refusal | None:
    """Return why the call is not wanted, or not approved, any more as it stands."""
    if call["due_at"] <= tx.now:
        error = "the call's time was over before it could begin"
        return Refusal(code=ToolCode.TIMED_OUT, error=error)
    unwanted = is_unwanted(tx, call)
    if unwanted is not None:
        return unwanted
    asked = params_hash(call["tool"], call["action"], call["params"])
    agreed = {call["params_hash"]}
    if call["decided_at"] is not None:
        agreed.add(call["approved_hash"])
    if agreed != {asked}:
        error = "the call is not the one that was asked for and approved"
        return Refusal(code=ToolCode.PARAMS_CHANGED, error=error)
    return None


def is_unwanted(tx: Tx, call: Row) -> Refusal | None:
    """Return why nobody wants the call any more; None while its attempt at a task goes on."""
    if call["attempt"] is None:
        return None
    wanted = sa.select(table.c.id).where(table.c.id == call["id"], tool_calls.is_wanted())
    if tx.one(wanted) is not None:
        return None
    error = f"the attempt at task {call['task_id']} that asked for it is over"
    return Refusal(code=ToolCode.LEASE_LOST, error=error)


def _find(tx: Tx, gate: Gate, call: Row, tenant: str) -> tuple[Action, str | None] | Refusal:
    """Return the wanted action; the tools of this Nexus come before what agents offer."""
    name, wanted = call["tool"], call["action"]
    tool = gate.tools.get(name)
    if tool is not None and tenant in tool.tenants:
        if tool.problem is not None:
            return Refusal(code=ToolCode.TOOL_UNAVAILABLE, error=f"{name}: {tool.problem}")
        action = tool.actions.get(wanted)
        return (action, None) if action is not None else _no_action(name, wanted)
    offer, is_known = tool_offers.provider(tx, call["agent_id"], name, wanted)
    if offer is not None:
        return tool_offers.action_of(offer), offer["agent_id"]
    if is_known:
        return _no_action(name, wanted)
    error = f"unknown tool {name!r}: no tool of that name is registered in this Nexus"
    return Refusal(code=ToolCode.UNKNOWN_TOOL, error=error)


def _no_action(tool: str, action: str) -> Refusal:
    error = f"the tool {tool!r} has no action {action!r}; list_tools() shows what there is"
    return Refusal(code=ToolCode.UNKNOWN_ACTION, error=error)


def _rule(tx: Tx, gate: Gate, call: Row, asking: Row, action: Action) -> KnownRule | Refusal:
    params = call["params"]
    wish = Wish(
        tool=call["tool"], action=call["action"], params=params, size=len(canonical(params))
    )
    rules = tool_rules.known(tx, call["tenant_id"], gate.rules)
    rule = judge(rules, _asker(tx, asking), wish)
    if isinstance(rule, Refusal):
        return rule
    problem = misfit(action.input_schema, params)
    if problem is not None:
        return Refusal(code=ToolCode.INVALID_PARAMS, error=f"{action.name}: {problem}")
    if call["state"] == CallState.RECEIVED and rule.rule.requires_approval:
        return rule  # its limits count when it begins
    return within_limits(rule, tool_calls.usage(tx, call, rule.id)) or rule


def _asker(tx: Tx, agent: Row) -> Asker:
    joined = (
        sa.select(groups.c.id, groups.c.slug)
        .join_from(groups, group_members, group_members.c.group_id == groups.c.id)
        .where(group_members.c.agent_id == agent["id"], groups.c.archived_at.is_(None))
    )
    names = {name for row in tx.rows(joined) for name in (row["id"], row["slug"])}
    return Asker(names=frozenset({agent["id"], agent["client_id"]}), groups=frozenset(names))


def usable_by(tx: Tx, gate: Gate, agent_id: str) -> list[ToolInfo]:
    """Return what an agent may have done for it, by name."""
    agent = tx.one(
        sa.select(agents, tenants.c.slug).join_from(agents, tenants).where(agents.c.id == agent_id)
    )
    if agent is None:
        return []
    asker = _asker(tx, agent)
    rules = tool_rules.known(tx, agent["tenant_id"], gate.rules)
    found: dict[str, ToolInfo] = {}
    for action, offered_by in _reachable(tx, gate, agent):
        rule = usable(rules, asker, action.tool, action.action)
        if rule is not None and action.name not in found:
            found[action.name] = _info(action, offered_by, rule)
    return [found[name] for name in sorted(found)]


def _reachable(tx: Tx, gate: Gate, agent: Row) -> Iterator[tuple[Action, str | None]]:
    own = [tool for tool in gate.tools.values() if agent["slug"] in tool.tenants]
    for tool in own:
        for action in tool.actions.values():
            yield action, None
    hidden = {tool.name for tool in own}
    for offer in tool_offers.offered_to(tx, agent["id"]):
        if offer["tool"] not in hidden:
            yield tool_offers.action_of(offer), offer["agent_name"]


def _info(action: Action, offered_by: str | None, rule: KnownRule | None = None) -> ToolInfo:
    return ToolInfo(
        tool=action.tool,
        action=action.action,
        description=action.description,
        input_schema=dict(action.input_schema),
        requires_approval=rule is not None and rule.rule.requires_approval,
        offered_by=offered_by,
    )


def all_tools(tx: Tx, gate: Gate, tenant_id: str) -> list[resources.KnownTool]:
    """Return every tool that agents of a tenant could be allowed, by name."""
    slug = tx.scalar(sa.select(tenants.c.slug).where(tenants.c.id == tenant_id))
    own = {tool.name: tool for tool in gate.tools.values() if slug in tool.tenants}
    offered: dict[str, list[ToolInfo]] = {}
    for offer in tool_offers.offered_in(tx, tenant_id):
        info = _info(tool_offers.action_of(offer), offer["agent_name"])
        offered.setdefault(offer["tool"], []).append(info)
    return [
        _known(own[name]) if name in own else resources.KnownTool(name=name, actions=offered[name])
        for name in sorted({*own, *offered})
    ]


def _known(tool: Tool) -> resources.KnownTool:
    actions = [_info(tool.actions[name], None) for name in sorted(tool.actions)]
    return resources.KnownTool(name=tool.name, actions=actions, problem=tool.problem)
