"""Where it is compared, after each step, what the tables say and what the model says."""

from collections import Counter
from typing import Any

from nexus.store.tx import Row
from oblivion.protocol import EventType
from traces.model.state import Model, ModelAgent, ModelTask
from traces.snapshot import Snapshot


def agrees(expected: Any, answered: Any) -> bool:
    """Say whether an answer is the foreseen one; of objects, the foreseen fields; None is any."""
    if isinstance(expected, dict) and isinstance(answered, dict):
        return all(answered.get(name) == value for name, value in expected.items())
    return expected is None or bool(answered == expected)


def compare(model: Model, before: Snapshot, now: Snapshot) -> None:
    """Hold the tables to the model; what chance has decided, the model then takes over."""
    assert now.tasks.keys() == model.tasks.keys()
    for task in model.tasks.values():
        _compare_task(task, now.tasks[task.id])
    assert now.heads.keys() == model.agents.keys()
    for agent in model.agents.values():
        _compare_events(agent, now, before.heads.get(agent.id, 0))
        _compare_session(agent, now.sessions.get(agent.id))
    assert now.sizes["call_answers"] == len(model.answers)
    assert now.sizes["idempotency_keys"] == len(model.keys)


def _compare_task(task: ModelTask, row: Row) -> None:
    assert task.not_before <= row["not_before"] <= task.not_before + task.slack
    task.not_before, task.slack = row["not_before"], 0
    _same(
        row,
        {
            "status": task.status,
            "holder_agent_id": task.holder,
            "attempt": task.attempt,
            "attempts_used": task.used,
            "max_attempts": task.max_attempts,
            "claimed_at": task.claimed_at,
            "lease_expires_at": task.lease,
            "deadline_at": task.deadline,
            "finished_at": task.finished_at,
            "priority": task.priority,
            "timeout_seconds": task.timeout,
            "required_capabilities": sorted(task.needs),
        },
    )


def _compare_events(agent: ModelAgent, now: Snapshot, before: int) -> None:
    """Compare what an agent was told; events of one step may come in any order."""
    assert now.heads[agent.id] == len(agent.events), "an event for each reason, and no other"
    stored = {event["seq"]: event for event in now.events[agent.id]}
    fresh = [_told(event) for seq, event in stored.items() if seq > before]
    foreseen = [(event.type, event.task, event.attempt) for event in agent.events[before:]]
    assert Counter(fresh) == Counter(foreseen)
    for event, told in zip(agent.events[before:], fresh, strict=True):
        event.type, event.task, event.attempt = told
    for seq, event in enumerate(agent.events, start=1):
        assert (seq in stored) != event.pruned
        assert event.pruned or stored[seq]["acked_at"] == event.acked_at


def _told(event: Row) -> tuple[EventType, str | None, int | None]:
    return EventType(event["type"]), event["task_id"], event["payload"].get("attempt")


def _compare_session(agent: ModelAgent, row: Row | None) -> None:
    session = agent.session
    assert (session is None) == (row is None)
    if session is None or row is None:
        return
    _same(
        row,
        {
            "id": session.id,
            "node_id": session.node,
            "connected_at": session.connected_at,
            "last_seen_at": session.last_seen,
            "idle_since": session.idle_since,
            "ready": session.ready,
            "max_concurrency": session.room,
            "instance_id": session.instance,
        },
    )
    assert (row["closed_at"] is None) == session.open


def _same(row: Row, expected: dict[str, Any]) -> None:
    assert {name: row[name] for name in expected} == expected
