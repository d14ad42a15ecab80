"""Where it is read what the tables hold, as the laws look at it."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from nexus.store import Tx, schema
from nexus.store.statement import Statement
from nexus.store.tx import Row

_TASKS = Statement(schema.tasks.select().order_by(schema.tasks.c.id))
_EVENTS = Statement(
    schema.agent_events.select().order_by(schema.agent_events.c.agent_id, schema.agent_events.c.seq)
)
_HEADS = Statement(
    sa.select(
        schema.agents.c.id,
        schema.agents.c.event_seq,
        schema.agents.c.gap_from,
        schema.agents.c.gap_to,
    )
)
_SESSIONS = Statement(schema.sessions.select())
_ACTIVITY = Statement(
    schema.activity.select()
    .where(schema.activity.c.id > sa.bindparam("after"))
    .order_by(schema.activity.c.id)
)
_SIZES = Statement(
    sa.select(
        *(
            sa.select(sa.func.count()).select_from(table).scalar_subquery().label(table.name)
            for table in (schema.messages, schema.call_answers, schema.idempotency_keys)
        )
    )
)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The tables after a step; ``activity`` is what it added, up to ``newest_activity``.

    ``gaps`` are the events that agents will be told they never get.
    """

    tasks: Mapping[str, Row]
    events: Mapping[str, list[Row]]
    heads: Mapping[str, int]
    gaps: Mapping[str, range]
    sessions: Mapping[str, Row]
    sizes: Row
    activity: list[Row]
    newest_activity: int

    def says_the_same_as(self, other: "Snapshot") -> bool:
        """Say whether nothing changed in between; the feed counts by what it added."""
        return not self.activity and all(
            getattr(self, name) == getattr(other, name)
            for name in ("tasks", "events", "heads", "sessions", "sizes")
        )


def take(tx: Tx, newest_activity: int) -> Snapshot:
    """Read everything; of the feed only what came after ``newest_activity``."""
    agents = tx.rows(_HEADS)
    heads = {row["id"]: row["event_seq"] for row in agents}
    events: dict[str, list[Row]] = {agent_id: [] for agent_id in heads}
    for row in tx.rows(_EVENTS):
        events[row["agent_id"]].append(row)
    fresh = list(tx.rows(_ACTIVITY, after=newest_activity))
    return Snapshot(
        tasks={row["id"]: row for row in tx.rows(_TASKS)},
        events=events,
        heads=heads,
        gaps={row["id"]: range(row["gap_from"] or 0, (row["gap_to"] or -1) + 1) for row in agents},
        sessions={row["agent_id"]: row for row in tx.rows(_SESSIONS)},
        sizes=tx.rows(_SIZES)[0],
        activity=fresh,
        newest_activity=fresh[-1]["id"] if fresh else newest_activity,
    )
