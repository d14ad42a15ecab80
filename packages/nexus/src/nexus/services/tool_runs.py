"""Where calls of tools are moved on: judged, begun, ended; each end is told, and audited."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nexus.domain.audit_chain import End
from nexus.domain.redaction import summary
from nexus.domain.tool_calls import GRACE_MS, INTERRUPTED, CallState, Outcome
from nexus.domain.tool_catalogue import Action
from nexus.domain.tool_policy import Refusal
from nexus.services import (
    activity,
    agents,
    approvals,
    audit,
    events,
    tool_calls,
    tool_gate,
)
from nexus.services.tool_gate import Gate, Passage
from nexus.store.tool_tables import tool_calls as table
from nexus.store.tx import Row, Tx
from oblivion.protocol import EventType, ToolCallPayload, ToolCode

Check = Callable[[Any, int], Outcome]
"""Makes of what a tool returned, and of how many bytes are taken, what is told."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """A call that this node has to make now, as it is kept, and what it may take."""

    call: Row
    action: Action
    timeout_ms: int
    max_result_bytes: int

    @property
    def call_id(self) -> str:
        """The call's id."""
        call_id: str = self.call["id"]
        return call_id

    @property
    def params(self) -> dict[str, Any]:
        """What the tool is given."""
        params: dict[str, Any] = self.call["params"]
        return params


@dataclass(frozen=True, kw_only=True)
class Keeper:
    """The node that looks after calls, and what it judges them and their results by."""

    node_id: str
    gate: Gate
    check: Check


@dataclass(frozen=True, kw_only=True)
class Step:
    """What looking after a call has led to: what to do now, what ended, what to anchor."""

    start: Start | None = None
    ended: Row | None = None
    end: End | None = None


NOTHING = Step()


def look_after(tx: Tx, call_id: str, keeper: Keeper) -> Step:
    """Do for a call what is due: judge it, end it, or leave it alone."""
    call = tool_calls.locked(tx, call_id)
    act = None if call is None else _TURNS.get(call["state"])
    return NOTHING if call is None or act is None else act(tx, call, keeper)


def conclude(tx: Tx, call_id: str, keeper: Keeper, outcome: Outcome) -> Step:
    """End a call that a node has made, unless others have given it up."""
    call = tool_calls.locked(tx, call_id)
    if call is None or call["state"] != CallState.RUNNING:
        return NOTHING
    return _finish(tx, call, keeper, outcome)


def recover(tx: Tx, keeper: Keeper, *, alone: bool) -> list[Step]:
    """See to the calls that a node was making when it ended; return what that led to.

    Those that do no harm twice are made again, of the others the outcome is not known. ``alone``,
    a node does that for all that came before it, else for its own. Calls of agents' tools go on.
    """
    running = (table.c.state == CallState.RUNNING) & table.c.provider_agent_id.is_(None)
    mine = table.c.node_id == keeper.node_id
    whose = ~mine if alone else mine
    steps: list[Step] = []
    for found in tx.rows(table.select().where(running, whose).order_by(table.c.id)):
        call = tool_calls.locked(tx, found["id"])
        if call is None or call["state"] != CallState.RUNNING:
            continue
        if call["idempotent"]:
            again = CallState.RECEIVED if call["decided_at"] is None else CallState.DECIDED
            due = {"node_id": keeper.node_id, "due_at": tx.now + call["timeout_ms"]}
            tx.update(table, {"state": again, **due}, id=call["id"])
            tx.wake(tool_calls.RUNNER)
        else:
            steps.append(_finish(tx, call, keeper, INTERRUPTED))
    return steps


def _judge(tx: Tx, call: Row, keeper: Keeper) -> Step:
    passage = tool_gate.inspect(tx, keeper.gate, call)
    if isinstance(passage, Refusal):
        return _finish(tx, call, keeper, Outcome(error=passage.error, code=passage.code))
    if passage.rule.rule.requires_approval and call["state"] == CallState.RECEIVED:
        approvals.ask(tx, call, passage.rule)
        return Step(end=_log(tx, call, keeper, "waits_for_approval", rule=passage.rule.label))
    return _begin(tx, call, keeper, passage)


def _give_up(tx: Tx, call: Row, keeper: Keeper) -> Step:
    """End a call for which a person's time is over, or which nobody wants any more."""
    unwanted = tool_gate.is_unwanted(tx, call)
    if unwanted is not None:
        return _finish(tx, call, keeper, Outcome(error=unwanted.error, code=unwanted.code))
    if call["due_at"] > tx.now:
        return NOTHING
    error = "nobody approved the call in time"
    step = _finish(tx, call, keeper, Outcome(error=error, code=ToolCode.APPROVAL_EXPIRED))
    approvals.weigh(tx, call)
    return step


def _after_decision(tx: Tx, call: Row, keeper: Keeper) -> Step:
    if call["approved_hash"] is not None:
        return _judge(tx, call, keeper)
    why = f": {call['reason']}" if call["reason"] else ""
    error = f"{call['decided_by']} denied the call{why}"
    return _finish(tx, call, keeper, Outcome(error=error, code=ToolCode.DENIED))


def _begin(tx: Tx, call: Row, keeper: Keeper, passage: Passage) -> Step:
    rule = passage.rule.rule
    timeout_ms = min(call["timeout_ms"], int(rule.timeout_seconds * 1000))
    begun = {
        "state": CallState.RUNNING,
        "node_id": keeper.node_id,
        "provider_agent_id": passage.provider_agent_id,
        "idempotent": passage.action.idempotent,
        "rule_id": passage.rule.id,
        "rule": passage.rule.label,
        "max_result_bytes": rule.max_result_bytes,
        "started_at": tx.now,
        "due_at": tx.now + timeout_ms,
    }
    tx.update(table, begun, id=call["id"])
    _record(tx, call, "tool_started", rule=passage.rule.label)
    end = _log(tx, call, keeper, "allowed", rule=passage.rule.label)
    if passage.provider_agent_id is not None:
        _hand_over(tx, call, passage.provider_agent_id, timeout_ms)
        return Step(end=end)
    start = Start(
        call={**call, **begun},
        action=passage.action,
        timeout_ms=timeout_ms,
        max_result_bytes=rule.max_result_bytes,
    )
    return Step(start=start, end=end)


def _hand_over(tx: Tx, call: Row, provider_agent_id: str, timeout_ms: int) -> None:
    wanted = ToolCallPayload(
        call_id=call["id"],
        tool=call["tool"],
        action=call["action"],
        params=call["params"],
        timeout_ms=timeout_ms,
        requested_by_id=call["agent_id"],
        requested_by=agents.by_id(tx, call["agent_id"])["name"],
        task_id=call["task_id"],
    )
    events.tell(tx, provider_agent_id, EventType.TOOL_CALL, wanted, events.of_call(call))


def _take_answer(tx: Tx, call: Row, keeper: Keeper) -> Step:
    if call["code"] is not None:
        outcome = Outcome(error=call["error"], code=ToolCode.TOOL_FAILED)
    else:
        outcome = keeper.check(call["result"], call["max_result_bytes"])
    return _finish(tx, call, keeper, outcome)


def _close_overdue(tx: Tx, call: Row, keeper: Keeper) -> Step:
    """End a call whose agent does not answer, or whose node is gone."""
    if call["due_at"] + GRACE_MS >= tx.now:
        return NOTHING
    if call["provider_agent_id"] is None:
        return _finish(tx, call, keeper, INTERRUPTED)
    error = "the agent that offers the tool did not answer in time"
    return _finish(tx, call, keeper, Outcome(error=error, code=ToolCode.TIMED_OUT))


_TURNS: dict[str, Callable[[Tx, Row, Keeper], Step]] = {
    CallState.RECEIVED: _judge,
    CallState.PENDING_APPROVAL: _give_up,
    CallState.DECIDED: _after_decision,
    CallState.RUNNING: _close_overdue,
    CallState.ANSWERED: _take_answer,
}
"""What is done with a call that stands there when it is due."""


def _finish(tx: Tx, call: Row, keeper: Keeper, outcome: Outcome) -> Step:
    """End a call: keep what came of it, tell whoever asked, and keep it in the log."""
    ended = {
        **call,
        "state": outcome.state,
        "result": outcome.data,
        "error": outcome.error,
        "code": outcome.code,
        "finished_at": tx.now,
    }
    kept = ("state", "result", "error", "code", "finished_at")
    tx.update(table, {name: ended[name] for name in kept}, id=call["id"])
    if call["by_event"]:
        tool_calls.tell_result(tx, ended)
    tx.wake(tool_calls.topic(call["id"]))
    began = call["started_at"]
    told = {"state": str(outcome.state), "code": outcome.code, "error": outcome.error}
    kind = "tool_refused" if began is None else "tool_ended"
    _record(tx, call, kind, **told)
    took = {} if began is None else {"durationMs": tx.now - began}
    end = _log(tx, call, keeper, str(outcome.state), **told, **took)
    return Step(ended=ended, end=end)


def _record(tx: Tx, call: Row, kind: str, **more: Any) -> None:
    task = approvals.task_of(tx, call)
    activity.record(
        tx,
        call["tenant_id"],
        kind,
        agent_id=call["agent_id"],
        task=task,
        call_id=call["id"],
        tool=call["tool"],
        action=call["action"],
        **more,
    )


def _log(tx: Tx, call: Row, keeper: Keeper, decision: str, **more: Any) -> End:
    """Keep in the audit log what was decided of a call, or what became of it."""
    details = {
        "tool": call["tool"],
        "action": call["action"],
        "paramsHash": call["params_hash"],
        "params": summary(call["params"]),
        "decision": decision,
        "taskId": call["task_id"],
        "decidedBy": call["decided_by"],
        **more,
    }
    act = audit.Act(
        actor=agents.by_id(tx, call["agent_id"])["client_id"],
        role="agent",
        action="tool_call",
        target=call["id"],
        details={name: value for name, value in details.items() if value is not None},
    )
    return audit.append(tx, keeper.gate.audit_key, call["tenant_id"], act)
