"""Where the model tells agents, takes their acknowledgements, and forgets what is old."""

from collections.abc import Iterable

from nexus.domain.errors import NotReady
from oblivion.protocol import EventType
from traces.model.state import Model, ModelEvent, ModelTask

DAY_MS = 24 * 3600 * 1000


def tell(model: Model, agent: str, type_: EventType, task: ModelTask | None = None) -> None:
    """Add an event without an attempt to those of an agent."""
    event = ModelEvent(type=type_, task=None if task is None else task.id, created_at=model.now)
    model.agents[agent].events.append(event)


def tell_of_attempt(model: Model, agent: str, type_: EventType, task: ModelTask) -> None:
    """Tell an agent what became of its attempt at a task."""
    event = ModelEvent(type=type_, task=task.id, created_at=model.now, attempt=task.attempt)
    model.agents[agent].events.append(event)


def pending(model: Model, agent: str, after: int = 0) -> list[int]:
    """Return the numbers of what the agent has not acknowledged, in order."""
    numbered = enumerate(model.agents[agent].events, start=1)
    return [seq for seq, event in numbered if event.unheard and seq > after]


def sent(model: Model, agent: str, after: int, gap: range) -> list[int]:
    """Return what an agent is sent that has read so far; ``gap`` is what it has to be told of.

    Raises:
        NotReady: a part of the gap comes first.
    """
    seqs = pending(model, agent, after)
    if seqs and seqs[0] > after + 1 and after < gap.stop - 1:
        raise NotReady("the gap comes first")
    return seqs


def late(model: Model, agent: str, gap: range) -> list[tuple[int, bool]]:
    """Return what is sent from the beginning, and whether an assignment's attempt is over.

    Raises:
        NotReady: a part of the gap comes first.
    """
    held = {(task.id, task.attempt) for task in model.held_by(agent)}
    found = [(seq, model.agents[agent].events[seq - 1]) for seq in sent(model, agent, 0, gap)]
    return [
        (seq, event.type is EventType.TASK_ASSIGNED and (event.task, event.attempt) not in held)
        for seq, event in found
    ]


def acknowledge(model: Model, agent: str, seqs: Iterable[int]) -> None:
    """Mark what the agent was told; what it was not, or has marked before, stays as it is."""
    for seq in set(seqs) & set(pending(model, agent)):
        model.agents[agent].events[seq - 1].acked_at = model.now


def drop_unheard(model: Model) -> list[str]:
    """Drop what waited a month for its agent, and all before it; return whose that was."""
    dropped = []
    for agent in model.agents.values():
        waiting = [event for event in agent.events if event.unheard]
        stale = [event.created_at < model.now - 30 * DAY_MS for event in waiting]
        if any(stale):
            dropped.append(agent.id)
            for event in waiting[: len(stale) - stale[::-1].index(True)]:
                event.pruned = True
    return dropped


def prune(model: Model) -> None:
    """Forget acknowledged events after a week, kept answers after a day."""
    for agent in model.agents.values():
        for event in agent.events:
            if event.acked_at is not None and event.acked_at < model.now - 7 * DAY_MS:
                event.pruned = True
    yesterday = model.now - DAY_MS
    model.answers = {k: kept for k, kept in model.answers.items() if kept[0] >= yesterday}
    model.keys = {k: kept for k, kept in model.keys.items() if kept[0] >= yesterday}
