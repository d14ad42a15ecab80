"""Where the model decides who gets which task."""

from collections.abc import Iterator
from typing import Any

from nexus.domain.errors import AlreadyClaimed, Conflict, NoFreeSlot, NotFound
from oblivion.protocol import DispatchPolicy, EventType, TaskStatus
from traces.model import events, sessions
from traces.model.state import LEASE_MS, Model, ModelAgent, ModelSession, ModelTask


def grant(model: Model, task: ModelTask, agent: str) -> None:
    """Give the agent the lease, with the next attempt."""
    task.status, task.holder, task.claimed_at = TaskStatus.CLAIMED, agent, model.now
    task.attempt += 1
    task.lease = model.now + LEASE_MS
    task.deadline = None if task.timeout is None else model.now + task.timeout * 1000
    events.tell_of_attempt(model, agent, EventType.TASK_ASSIGNED, task)


def _takers(model: Model, task: ModelTask, node: str | None) -> list[ModelAgent]:
    """Return who could take the task now, who is to have it first; without a node: anywhere."""
    able = [
        (load, session.idle_since, agent.id, agent)
        for agent, session, load in _free(model, node)
        if task.group in agent.groups and task.needs <= agent.skills
    ]
    return [agent for *_, agent in sorted(able, key=lambda found: found[:3])]


def _free(model: Model, node: str | None) -> Iterator[tuple[ModelAgent, ModelSession, int]]:
    """Yield the agents that have room, with what they hold already."""
    for agent in model.agents.values():
        session, load = agent.session, len(model.held_by(agent.id))
        here = session is not None and node in {None, session.node}
        if session is not None and here and session.takes_tasks and load < session.room:
            yield agent, session, load


def lease_next(model: Model, node: str) -> int:
    """Lease what waits in ``assign`` projects to the agents of a node."""
    granted = 0
    for task in model.waiting(DispatchPolicy.ASSIGN):
        takers = _takers(model, task, node)
        if takers:
            grant(model, task, takers[0].id)
            granted += 1
    return granted


def offers(model: Model, node: str) -> dict[str, set[str]]:
    """Return what waits in ``claim`` projects, with the agents of a node that could take it."""
    waiting = model.waiting(DispatchPolicy.CLAIM)
    found = {task.id: {agent.id for agent in _takers(model, task, node)} for task in waiting}
    return {task: agents for task, agents in found.items() if agents}


def possible(model: Model) -> set[tuple[str, str]]:
    """Return who could get which task now, under either policy, on any node."""
    return {
        (task.id, agent.id)
        for policy in DispatchPolicy
        for task in model.waiting(policy)
        for agent in _takers(model, task, None)
    }


def claim(model: Model, agent: str, session_id: str, task_id: str) -> dict[str, Any]:
    """Return what the claim is answered; most refusals are answers too."""
    room: int | None = sessions.require_ready(model, agent, session_id).room
    try:
        attempt = claim_anyhow(model, agent, task_id, room)
    except (Conflict, NotFound):
        return {"taskId": task_id, "success": False, "attempt": None}
    return {"taskId": task_id, "success": True, "attempt": attempt}


def claim_anyhow(model: Model, agent: str, task_id: str, room: int | None) -> int:
    """Return the attempt that was won; without ``room`` there is no limit."""
    task = model.visible(agent, task_id)
    if task.held and task.holder == agent:
        return task.attempt
    if task.status is not TaskStatus.TODO:
        raise AlreadyClaimed(task_id)
    if not model.is_open(task) or not task.needs <= model.agents[agent].skills:
        raise Conflict(task_id)
    if room is not None and len(model.held_by(agent)) >= room:
        raise NoFreeSlot(task_id)
    grant(model, task, agent)
    return task.attempt
