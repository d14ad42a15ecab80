"""Where an agent's announcement meets what Nexus knows: what it keeps, what it has lost."""

from collections.abc import Sequence

from nexus.domain.limits import Limits
from nexus.services import attempts, events, leases, sessions, tool_offers, views
from nexus.services.installation import epoch_of
from nexus.services.sessions import SessionRef
from nexus.store.tx import Row, Tx
from oblivion.protocol import ActiveTask, AgentReady, AgentReadyAck


def agent_ready(tx: Tx, ref: SessionRef, ready: AgentReady, limits: Limits) -> AgentReadyAck:
    """Open the session for work: settle the leases, and say where the event history stands.

    A lease that the agent names goes on. A lease that it does not name is left to run out,
    because its outcome may be on its way, unless the agent is a new process: then nobody works
    on it. What the agent has ended itself is not lost, though it may not know yet.

    Raises:
        NotReady: the session has ended.
        Invalid: it offers a tool that cannot be offered.
    """
    before = sessions.announce(tx, ref, ready)
    active = {(task.task_id, task.attempt) for task in ready.active}
    if _is_new_process(before, ready):
        _end_orphans(tx, ref.agent_id, active)
    leases.renew(tx, ref.agent_id, ready.active, limits.lease_ms)
    if ready.tools is not None:
        tool_offers.announce(tx, ref, ready.tools)
    tx.wake(leases.DISPATCH)
    epoch = epoch_of(tx)
    still = leases.kept(tx, ref.agent_id, [task_id for task_id, _ in active])
    return AgentReadyAck(
        epoch=epoch,
        head_seq=events.head(tx, ref.agent_id),
        resumed=ready.epoch == epoch,
        lost=sorted(task_id for task_id, attempt in active - still),
    )


def _is_new_process(before: Row, ready: AgentReady) -> bool:
    known = before["instance_id"]
    return known is not None and ready.instance_id is not None and known != ready.instance_id


def _end_orphans(tx: Tx, agent_id: str, active: set[tuple[str, int]]) -> None:
    undelivered = events.undelivered_assignments(tx, agent_id)
    for task in tx.rows(views.select_tasks().where(leases.held_by(agent_id))):
        attempt = task["id"], task["attempt"]
        if attempt not in active and attempt not in undelivered:
            attempts.orphan(tx, task)


def heartbeat(tx: Tx, ref: SessionRef, active: Sequence[ActiveTask] | None, limits: Limits) -> None:
    """Note the agent's sign of life and renew its leases.

    Raises:
        NotReady: the session has ended.
    """
    session = sessions.touch(tx, ref)
    if active is not None:
        leases.renew(tx, ref.agent_id, active, limits.lease_ms)
    else:
        leases.renew_since(tx, ref.agent_id, session["connected_at"], limits.lease_ms)
