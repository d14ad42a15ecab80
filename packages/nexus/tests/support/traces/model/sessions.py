"""Where the model's agents come, live and go."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from nexus.domain.errors import NotReady
from oblivion.protocol import TaskStatus
from traces.model.state import LEASE_MS, OFFLINE_MS, Model, ModelSession

Active = Iterable[tuple[str, int]]
"""Tasks, each with its attempt."""


def require_open(model: Model, agent: str, session_id: str) -> ModelSession:
    """Return the agent's session if this is it."""
    session = model.agents[agent].session
    if session is None or session.id != session_id or not session.open:
        raise NotReady("ended")
    return session


def require_ready(model: Model, agent: str, session_id: str) -> ModelSession:
    """Return the agent's session if this is it and it was announced."""
    session = require_open(model, agent, session_id)
    if not session.ready:
        raise NotReady("unannounced")
    return session


def opened(model: Model, agent: str, session_id: str, node: str) -> None:
    """Put a new session in the place of an older one; what that announced stays known."""
    fresh = ModelSession(
        id=session_id,
        node=node,
        connected_at=model.now,
        last_seen=model.now,
        idle_since=model.now,
    )
    before = model.agents[agent].session
    if before is not None:
        fresh = replace(fresh, room=before.room, skills=before.skills, instance=before.instance)
    model.agents[agent].session = fresh


def renew(model: Model, agent: str, active: Active) -> None:
    """Prolong the leases that the agent names and holds."""
    named = set(active)
    for task in model.held_by(agent):
        if (task.id, task.attempt) in named:
            task.lease = model.now + LEASE_MS


def heartbeat(
    model: Model, agent: str, session_id: str, active: Sequence[tuple[str, int]] | None
) -> None:
    """Note a sign of life; who names nothing keeps what it got since it connected."""
    session = require_ready(model, agent, session_id)
    session.last_seen = model.now
    if active is None:
        active = [
            (task.id, task.attempt)
            for task in model.held_by(agent)
            if (task.claimed_at or 0) >= session.connected_at
        ]
    renew(model, agent, active)


def seen(model: Model, agent: str, session_id: str) -> None:
    """Note a sign of life that asks for nothing else."""
    session = model.agents[agent].session
    if session is not None and session.id == session_id and session.open:
        session.last_seen = model.now


def close(model: Model, agent: str, session_id: str) -> bool:
    """End a session, unless it has ended or a newer one took its place."""
    session = model.agents[agent].session
    if session is None or session.id != session_id or not session.open:
        return False
    session.open = session.ready = False
    return True


def disconnect(model: Model, agent: str) -> bool:
    """End whatever session the agent has."""
    session = model.agents[agent].session
    return session is not None and close(model, agent, session.id)


def close_silent(model: Model) -> list[str]:
    """End the sessions that were not heard of for too long; return whose they were."""
    silent = [
        agent
        for agent in model.agents.values()
        if agent.session and agent.session.last_seen < model.now - OFFLINE_MS
    ]
    return sorted(agent.id for agent in silent if disconnect(model, agent.id))


def restart(model: Model) -> None:
    """Start Nexus anew: sessions are over, leases begin again."""
    for agent in model.agents:
        disconnect(model, agent)
    model.watched_at = model.now
    _renew_all(model)


def _renew_all(model: Model) -> None:
    for task in model.tasks.values():
        if task.held:
            task.lease = model.now + LEASE_MS
            if task.deadline is not None and task.timeout is not None:
                task.deadline = model.now + task.timeout * 1000


def watch(model: Model) -> bool:
    """Look at the clock; where nobody did for long, or it was set, everything begins anew."""
    passed = 0 if model.watched_at is None else model.now - model.watched_at
    if model.watched_at is not None and 0 <= passed < 5_000:
        return False
    model.watched_at = model.now
    if passed <= -1_000:
        _set_back(model, passed)
    elif passed < 20_000:
        return False
    _renew_all(model)
    for agent in model.agents.values():
        if agent.session and agent.session.open:
            agent.session.last_seen = model.now
    return True


def _set_back(model: Model, passed: int) -> None:
    """End pauses that would outlast it; what has begun has begun as long ago as before."""
    for task in model.tasks.values():
        if task.status is TaskStatus.TODO:
            task.not_before = min(task.not_before, model.now)
        if task.held and task.claimed_at is not None and task.claimed_at > model.now:
            task.claimed_at += passed
    for agent in model.agents.values():
        if agent.session and agent.session.connected_at > model.now:
            agent.session.connected_at += passed
