"""Where an agent's events are written, read and acknowledged: numbered per agent, without holes."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import orjson
import sqlalchemy as sa

from nexus.domain.errors import Invalid, NotReady
from nexus.store.ids import new_id
from nexus.store.schema import agent_events, agents
from nexus.store.statement import Statement
from nexus.store.tx import Row, Tx
from oblivion.protocol import MAX_FRAME_BYTES, EventType, WireModel

LOOKED_AT = 1_000
"""So many events of an agent are looked at for what it has heard of a task."""

_A_FEW = 64
"""So many numbers are acknowledged unseen; of more, those that name no event cost no write."""

MAX_PAYLOAD_BYTES = MAX_FRAME_BYTES - 4096
"""What fits into a frame beside the envelope."""

SURELY_FITS = MAX_PAYLOAD_BYTES // 6 - 4096
"""So many characters fit whatever they are: JSON takes at most six bytes for one (RFC 8259)."""

_NOT_KNOWN: Mapping[int, int] = MappingProxyType({})


class About(NamedTuple):
    """What an event is about: a task, and the trace that it belongs to."""

    task_id: str | None = None
    traceparent: str | None = None


NOTHING = About()

_is_pending = (agent_events.c.agent_id == sa.bindparam("agent_id")) & (
    agent_events.c.acked_at.is_(None)
)
_TAKE_SEQS = Statement(
    agents.update()
    .where(agents.c.id == sa.bindparam("agent_id"))
    .values(event_seq=agents.c.event_seq + sa.bindparam("number"))
    .returning(agents.c.event_seq)
)
_HEAD = Statement(sa.select(agents.c.event_seq).where(agents.c.id == sa.bindparam("agent_id")))
_PENDING = Statement(
    agent_events.select()
    .where(_is_pending, agent_events.c.seq > sa.bindparam("after"))
    .order_by(agent_events.c.seq)
    .limit(sa.bindparam("limit"))
)
_GAP_TO = Statement(sa.select(agents.c.gap_to).where(agents.c.id == sa.bindparam("agent_id")))
_PENDING_SEQS = Statement(sa.select(agent_events.c.seq).where(_is_pending))
_FIRST_PENDING = Statement(sa.select(sa.func.min(agent_events.c.seq)).where(_is_pending))
_ACKNOWLEDGE = Statement(
    agent_events.update()
    .where(_is_pending, agent_events.c.seq == sa.bindparam("seq"))
    .values(acked_at=sa.bindparam("now"), sent_at=sa.bindparam("sent_at"))
)


def topic(agent_id: str) -> str:
    """Return the topic that is woken when an agent has new events."""
    return f"agent:{agent_id}"


def heard(tx: Tx, agent_id: str, task_id: str) -> list[Row]:
    """Return the events about a task that an agent has acknowledged, in order.

    It looks at the agent's newest :data:`LOOKED_AT` alone.
    """
    mine = agent_events.select().where(agent_events.c.agent_id == agent_id)
    newest = mine.order_by(agent_events.c.seq.desc()).limit(LOOKED_AT).subquery()
    about = (newest.c.task_id == task_id) & newest.c.acked_at.is_not(None)
    return list(tx.rows(sa.select(newest).where(about).order_by(newest.c.seq)))


def of_task(task: Row) -> About:
    """Return what an event about a task is about."""
    return About(task["id"], task["traceparent"])


def of_call(call: Row) -> About:
    """Return what an event about a tool's call is about."""
    return About(call["task_id"], call["traceparent"])


def tell(
    tx: Tx, agent_id: str, type_: EventType, payload: WireModel, about: About = NOTHING
) -> int:
    """Store one durable event for an agent and return its ``seq``.

    The number comes from the agent's own row in the same transaction, so that a command that
    fails leaves no hole.
    """
    return tell_all(tx, type_, [(agent_id, payload, about)])[0]


def tell_all(tx: Tx, type_: EventType, told: Sequence[tuple[str, WireModel, About]]) -> list[int]:
    """Store events of one type, each with its agent and payload; return their ``seq``."""
    numbers = Counter(agent_id for agent_id, _, _ in told)
    # In the order of their ids, in which all who tell several agents lock them.
    fresh = {agent_id: _take(tx, agent_id, numbers[agent_id]) for agent_id in sorted(numbers)}
    stored: list[Row] = [
        {
            "agent_id": agent_id,
            "seq": next(fresh[agent_id]),
            "id": new_id(),
            "type": type_,
            "task_id": about.task_id,
            "payload": payload.to_wire(),
            "traceparent": about.traceparent,
            "created_at": tx.now,
        }
        for agent_id, payload, about in told
    ]
    tx.insert_all(agent_events, stored)
    for event in stored:
        tx.tell(event)
    tx.wake(*map(topic, numbers))
    return [event["seq"] for event in stored]


def _take(tx: Tx, agent_id: str, number: int) -> Iterator[int]:
    """Take so many of the agent's next numbers."""
    last: int = tx.scalar(_TAKE_SEQS, agent_id=agent_id, number=number)
    return iter(range(last - number + 1, last + 1))


def refuse_oversize(payload: WireModel) -> None:
    """Refuse what would not fit into a frame once it is an event: it could reach no agent.

    Raises:
        Invalid: it is too large.
    """
    size = len(orjson.dumps(payload.to_wire()))
    if size > MAX_PAYLOAD_BYTES:
        raise Invalid(
            f"this makes {size} bytes of JSON, more than the {MAX_PAYLOAD_BYTES} that an agent "
            "can be sent; shorten the text or the metadata"
        )


def pending(tx: Tx, agent_id: str, *, after: int, limit: int) -> Sequence[Row]:
    """Return unacknowledged events with a ``seq`` above ``after``, in order.

    Raises:
        NotReady: what followed was dropped meanwhile, of which the agent is told as it connects.
    """
    rows = tx.rows(_PENDING, agent_id=agent_id, after=after, limit=limit)
    is_hole = bool(rows) and rows[0]["seq"] > after + 1
    if is_hole and (tx.scalar(_GAP_TO, agent_id=agent_id) or 0) > after:
        raise NotReady(f"what followed event {after} was dropped; connect again")
    return rows


def acknowledge(
    tx: Tx, agent_id: str, seqs: Sequence[int], sent: Mapping[int, int] = _NOT_KNOWN
) -> int:
    """Mark events as handled; unknown and already acknowledged ones are passed over.

    ``sent`` has the moments at which they were sent, in epoch milliseconds, as far as known.
    """
    if len(seqs) > _A_FEW:
        waiting = tx.rows(_PENDING_SEQS, agent_id=agent_id)
        seqs = sorted({row["seq"] for row in waiting}.intersection(seqs))
    return sum(
        tx.change(_ACKNOWLEDGE, agent_id=agent_id, seq=seq, now=tx.now, sent_at=sent.get(seq))
        for seq in seqs
    )


def head(tx: Tx, agent_id: str) -> int:
    """Return the number of the agent's newest event; 0 when it has none."""
    return tx.scalar(_HEAD, agent_id=agent_id) or 0


def first_pending(tx: Tx, agent_id: str) -> int | None:
    """Return the number of the agent's oldest unacknowledged event."""
    first: int | None = tx.scalar(_FIRST_PENDING, agent_id=agent_id)
    return first


def undelivered_assignments(tx: Tx, agent_id: str) -> set[tuple[str, int]]:
    """Return the tasks, each with its attempt, that the agent has not acknowledged to have."""
    rows = tx.rows(
        sa.select(agent_events.c.payload).where(
            agent_events.c.agent_id == agent_id,
            agent_events.c.type == EventType.TASK_ASSIGNED,
            agent_events.c.acked_at.is_(None),
        )
    )
    return {(row["payload"]["taskId"], row["payload"]["attempt"]) for row in rows}
