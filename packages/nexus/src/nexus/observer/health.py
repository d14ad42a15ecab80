"""Where people see how Nexus itself is, and stop all agents or let them work again."""

import asyncio
import platform as machine
import time
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.responses import Response

from nexus import __version__
from nexus.domain import audit_chain
from nexus.domain.audit_chain import End, audit_key
from nexus.domain.findings import Finding, audit_log
from nexus.domain.principal import Principal
from nexus.observer.visit import Visit
from nexus.services import agents, audit, mailbox, readiness, stops, tool_gate
from nexus.services.resources import Backlog, KnownTool
from nexus.services.stops import Reason
from nexus.store import StoreError
from nexus.store.tx import Tx

_AUDITED = 1_000
"""So many of the audit log's newest entries are looked at each time."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """How a tenant's part of the store is, and how many agents a stop would stop."""

    online: int
    is_current: bool
    boxes: list[Backlog]
    tools: list[KnownTool]
    audited: list[audit_chain.Finding]


async def page(visit: Visit) -> Response:
    """Show the kill switch, what checks have found, integrations and versions."""
    house, tenant_id = visit.house, visit.claimed.tenant_id
    began = time.perf_counter()
    kept = await asyncio.to_thread(_kept, visit)  # before the look, which sees no less then
    found = await visit.read(lambda tx, caller: _health(tx, caller, visit, kept))
    answered_ms = (time.perf_counter() - began) * 1000
    checked = await asyncio.to_thread(house.examine, tenant_id)
    findings = [*checked, *_here(visit, found, answered_ms)]
    order = {"fail": 0, "warn": 1, "ok": 2}
    findings.sort(key=lambda finding: order[finding.status])
    return visit.page("health.html", health=found, findings=findings, facts=_facts(visit))


def _kept(visit: Visit) -> list[End]:
    """Return how far the tenant's audit log went; nothing where no file says so that is whole."""
    try:
        ends = visit.house.anchors()
    except StoreError:
        return []  # the check of the keys says so
    return [end for end in ends if end.tenant_id == visit.claimed.tenant_id]


def _health(tx: Tx, caller: Principal, visit: Visit, kept: Iterable[End]) -> Health:
    house, tenant_id = visit.house, caller.tenant_id
    key = audit_key(house.platform.pepper)
    return Health(
        online=agents.counts(tx, tenant_id)[1],
        is_current=readiness.schema_is_current(tx),
        boxes=mailbox.backlog(tx, tenant_id),
        tools=tool_gate.all_tools(tx, house.gate(), tenant_id),
        audited=audit.walked(tx, key, tenant_id, kept, _AUDITED)[1],
    )


def _here(visit: Visit, found: Health, answered_ms: float) -> list[Finding]:
    return [
        Finding(check="store", status="ok", found=f"answered within {answered_ms:.0f} ms"),
        _schema(is_current=found.is_current),
        audit_log([f"entry {one.seq} {one.problem}" for one in found.audited], _AUDITED),
        _slack(visit),
        *(_deliveries(box) for box in found.boxes if box.failed),
        *(_tool(tool) for tool in found.tools if tool.problem is not None),
    ]


def _schema(*, is_current: bool) -> Finding:
    if is_current:
        return Finding(check="schema", status="ok", found="this version's")
    fix = "run `nexus migrate`"
    return Finding(check="schema", status="fail", found="not this version's", fix=fix)


def _slack(visit: Visit) -> Finding:
    connected = visit.house.workspace
    if connected is None or connected.tenant_id != visit.claimed.tenant_id:
        found = "not connected; the docs say how: Slack"
        return Finding(check="slack", status="ok", found=found)
    state = connected.state
    if state.trouble is not None:
        fix = "`nexus slack doctor` looks closer"
        return Finding(check="slack", status="fail", found=state.trouble, fix=fix)
    way = "over Socket Mode" if state.socket_mode else "over HTTP"
    found = f"connected with {state.team or 'its workspace'}, {way}"
    return Finding(check="slack", status="ok", found=found)


def _deliveries(box: Backlog) -> Finding:
    return Finding(
        check=f"deliveries of {box.box}",
        status="warn",
        found=f"{box.failed:,} failed, {box.pending:,} wait",
        fix="look at them on the page of Slack and deliveries, and have them tried again",
    )


def _tool(tool: KnownTool) -> Finding:
    fix = "see the server's log; it is tried again by itself"
    return Finding(check=f"tool {tool.name}", status="warn", found=tool.problem or "", fix=fix)


def _facts(visit: Visit) -> dict[str, str]:
    platform = visit.house.platform
    limits = platform.limits
    return {
        "Nexus": __version__,
        "Python": machine.python_version(),
        "System": f"{machine.system()} {machine.release()}, {machine.machine()}",
        "Node": platform.node_id,
        "Database": "PostgreSQL, shared by nodes" if platform.is_shared else "SQLite, this node's",
        "Bus": _bus(shared=platform.is_shared),
        "Heartbeat": f"every {limits.heartbeat_interval_ms / 1000:g} s; "
        f"offline after {limits.offline_after_ms / 1000:g} s",
        "Lease": f"{limits.lease_ms / 1000:g} s, renewed by heartbeats",
        "Unheard events": f"kept {limits.keep_unheard_ms / 86_400_000:g} days, "
        f"{limits.most_unheard:,} for an agent at most",
    }


def _bus(*, shared: bool) -> str:
    return "within each node; nodes look once a second" if shared else "within this process"


async def stop_all(visit: Visit) -> Response:
    """Stop all agents until they are resumed; their tasks wait, and nothing is lost."""
    reason = Reason(reason=visit.form.get("reason")).reason

    def stop(tx: Tx, caller: Principal) -> object:
        return stops.stop_all(tx, caller, reason)

    await visit.write(stop)
    return visit.go("/ui/health", "stopped")


async def resume_all(visit: Visit) -> Response:
    """Let the agents in again; they come back by themselves."""
    await visit.write(stops.resume_all)
    return visit.go("/ui/health", "resumed")
