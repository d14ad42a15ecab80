"""Where the model settles what an announcing agent keeps and what it has lost."""

from typing import Any

from oblivion.protocol import AgentReady, TaskStatus
from traces.model import attempts, sessions
from traces.model.state import Model, ModelAgent


def agent_ready(model: Model, agent: str, session_id: str, ready: AgentReady) -> dict[str, Any]:
    """Open the session for work; a new process gives back what it does not name."""
    session = sessions.require_open(model, agent, session_id)
    active = {(task.task_id, task.attempt) for task in ready.active}
    if session.instance and ready.instance_id and session.instance != ready.instance_id:
        _end_orphans(model, model.agents[agent], active)
    session.ready, session.accepts = True, ready.accepts_tasks
    session.room, session.instance = ready.max_concurrency, ready.instance_id
    session.skills, session.last_seen = frozenset(ready.capabilities), model.now
    sessions.renew(model, agent, active)
    lost = {task for task, attempt in active if not _keeps(model, agent, task, attempt)}
    return {
        "headSeq": len(model.agents[agent].events),
        "resumed": ready.epoch is not None,
        "lost": sorted(lost),
    }


def _end_orphans(model: Model, agent: ModelAgent, active: set[tuple[str, int]]) -> None:
    spared = active | agent.undelivered
    for task in model.held_by(agent.id):
        if (task.id, task.attempt) not in spared:
            attempts.fail(model, task, pause=False)


def _keeps(model: Model, agent: str, task_id: str, attempt: int) -> bool:
    """Say whether the agent holds the attempt, or has ended it; what a person cancelled no."""
    task = model.tasks.get(task_id)
    return (
        task is not None
        and (task.holder, task.attempt) == (agent, attempt)
        and task.status is not TaskStatus.CANCELLED
    )
