"""Where the trace of a task is kept: what its agent thinks and logs, for people who look."""

from nexus.services import activity, leases
from nexus.store.tx import Tx
from oblivion.protocol import Acknowledged, Think


def record(tx: Tx, agent_id: str, wish: Think) -> Acknowledged:
    """Keep what an agent thought about a task of its groups.

    It stands in the task's feed alone: it is said to nobody, wakes nobody, and no integration shows
    it.

    Raises:
        NotFound: no such task in its groups.
    """
    task = leases.visible(tx, agent_id, wish.task_id)
    lines = [thought.text for thought in wish.thoughts]
    if wish.dropped:
        lines.insert(0, f"({wish.dropped} earlier ones were dropped)")
    activity.record(
        tx,
        task["tenant_id"],
        activity.THOUGHT,
        agent_id=agent_id,
        task=task,
        text="\n".join(lines),
        thoughts=wish.to_wire()["thoughts"],
        dropped=wish.dropped,
    )
    return Acknowledged()
