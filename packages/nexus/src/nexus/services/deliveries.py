"""Where it is kept what came in from other services and what goes out: each once, in its order.

A box is one direction of one service, such as ``slack-out``. Within a box, what shares a lane is
seen to in the order in which it came, the urgent first; lanes do not wait for each other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nexus.domain.deliveries import DeliveryStatus, is_spent
from nexus.domain.errors import Conflict
from nexus.services import activity
from nexus.store.schema import deliveries, delivery_lanes
from nexus.store.statement import Statement
from nexus.store.tx import Row, Tx

CLAIM_MS = 60_000
"""For how long whoever claims a delivery has it for itself; then it is taken for dead."""

AT_ONCE = 50
"""How many of one lane are claimed together."""

_other = deliveries.alias("other")
_is_pending = deliveries.c.status == sa.literal_column(f"'{DeliveryStatus.PENDING}'")
_comes_before = sa.or_(
    _other.c.claimed_until > sa.bindparam("now"),
    _other.c.urgent & ~deliveries.c.urgent,
    (_other.c.urgent == deliveries.c.urgent) & (_other.c.id < deliveries.c.id),
)
_HEADS = Statement(
    deliveries.select()
    .outerjoin_from(
        deliveries,
        delivery_lanes,
        (delivery_lanes.c.box == deliveries.c.box) & (delivery_lanes.c.lane == deliveries.c.lane),
    )
    .where(
        _is_pending,
        deliveries.c.box == sa.bindparam("box"),
        deliveries.c.due_at <= sa.bindparam("now"),
        sa.func.coalesce(deliveries.c.claimed_until, 0) <= sa.bindparam("now"),
        sa.func.coalesce(delivery_lanes.c.open_at, 0) <= sa.bindparam("now"),
        ~sa.exists()
        .where(
            _other.c.box == deliveries.c.box,
            _other.c.lane == deliveries.c.lane,
            _other.c.status == sa.literal_column(f"'{DeliveryStatus.PENDING}'"),
            _comes_before,
        )
        .correlate(deliveries),
    )
    .order_by(deliveries.c.urgent.desc(), deliveries.c.id)
    .limit(sa.bindparam("limit"))
    .with_for_update(of=deliveries, skip_locked=True)
)
_LANE = Statement(
    deliveries.select()
    .where(
        _is_pending,
        deliveries.c.box == sa.bindparam("box"),
        deliveries.c.lane == sa.bindparam("lane"),
        deliveries.c.due_at <= sa.bindparam("now"),
    )
    .order_by(deliveries.c.urgent.desc(), deliveries.c.id)
    .limit(AT_ONCE)
)


@dataclass(frozen=True, kw_only=True)
class Letter:
    """What is to be delivered; ``key`` names it within its box, so that it is taken once."""

    tenant_id: str
    box: str
    key: str
    lane: str
    kind: str
    payload: dict[str, Any]
    task_id: str | None = None
    urgent: bool = False


def topic(box: str) -> str:
    """Return the topic that is woken when a box has something to see to."""
    return f"deliveries:{box}"


def post(tx: Tx, letter: Letter) -> bool:
    """Store a letter; False when one of its key is there already, whose place it does not take."""
    tx.exclude("delivery", letter.box, letter.key)
    known = sa.select(deliveries.c.id).where(
        deliveries.c.box == letter.box, deliveries.c.key == letter.key
    )
    if tx.one(known) is not None:
        return False
    values = {
        **vars(letter),
        "status": DeliveryStatus.PENDING,
        "due_at": tx.now,
        "created_at": tx.now,
    }
    tx.insert(deliveries, values)
    tx.wake(topic(letter.box))
    return True


def claim(tx: Tx, box: str, *, limit: int, together: int = 1) -> list[list[Row]]:
    """Take what is due of up to ``limit`` lanes, ``together`` of each at most, in their order.

    Whoever claims has :data:`CLAIM_MS` to :func:`end`, :func:`postpone` or :func:`release` each. A
    delivery that was claimed before without that is ``unsure``: it may have had its effect.
    """
    heads = tx.rows(_HEADS, box=box, now=tx.now, limit=limit)
    claimed: list[list[Row]] = []
    for head in heads:
        rows = [head] if together == 1 else tx.rows(_LANE, box=box, lane=head["lane"], now=tx.now)
        claimed.append([_claim(tx, row) for row in rows[:together]])
    return claimed


def _claim(tx: Tx, row: Row) -> Row:
    left_behind = row["claimed_until"] is not None
    values = {
        "claimed_until": tx.now + CLAIM_MS,
        "unsure": row["unsure"] or left_behind,
        "tries": row["tries"] + left_behind,
    }
    tx.update(deliveries, values, id=row["id"])
    return {**row, **values}


def end(tx: Tx, row: Row, *, gap_ms: int = 0) -> None:
    """Note that a delivery has been made; its lane opens for the next after ``gap_ms``.

    Raises:
        Conflict: the claim ran out, and somebody else has it.
    """
    _settle(tx, row, {"status": DeliveryStatus.DONE, "ended_at": tx.now, "error": None})
    _close_lane(tx, row, gap_ms)


def postpone(
    tx: Tx, row: Row, why: str, *, after_ms: int, counts: bool = True, unsure: bool = False
) -> None:
    """Have a delivery tried again after a while; where that ``counts`` too often, it has failed.

    Raises:
        Conflict: the claim ran out, and somebody else has it.
    """
    tries = row["tries"] + counts
    if is_spent(tries):
        fail(tx, {**row, "tries": tries}, f"given up after {tries} tries; the last one: {why}")
        return
    values = {"tries": tries, "due_at": tx.now + after_ms, "error": why}
    _settle(tx, row, {**values, "unsure": row["unsure"] or unsure})


def release(tx: Tx, rows: Iterable[Row]) -> None:
    """Give back claims that nothing was done about."""
    for row in rows:
        still = {"id": row["id"], "claimed_until": row["claimed_until"]}
        tx.update(deliveries, {"claimed_until": None}, **still)


def fail(tx: Tx, row: Row, why: str) -> None:
    """End a delivery that cannot be made; people see that, and may have it tried again.

    Raises:
        Conflict: the claim ran out, and somebody else has it.
    """
    values = {"status": DeliveryStatus.FAILED, "ended_at": tx.now, "error": why}
    _settle(tx, row, {**values, "tries": row["tries"]})
    activity.record(
        tx,
        row["tenant_id"],
        "delivery_failed",
        delivery_id=row["id"],
        box=row["box"],
        kind=row["kind"],
        of_task=row["task_id"],
        error=why,
    )


def retry(tx: Tx, row: Row) -> None:
    """Have a failed delivery tried anew, as often as a fresh one.

    Raises:
        Conflict: it has not failed.
    """
    values = {"status": DeliveryStatus.PENDING, "tries": 0, "due_at": tx.now, "ended_at": None}
    if not tx.update(deliveries, values, id=row["id"], status=DeliveryStatus.FAILED):
        raise Conflict(f"delivery {row['id']} is {row['status']}; only a failed one is retried")
    tx.wake(topic(row["box"]))


def _settle(tx: Tx, row: Row, values: dict[str, Any]) -> None:
    still = {"id": row["id"], "status": DeliveryStatus.PENDING}
    claim = {"claimed_until": row["claimed_until"]}
    if not tx.update(deliveries, {**values, "claimed_until": None}, **still, **claim):
        raise Conflict(f"delivery {row['id']} is no longer claimed here")
    tx.wake(topic(row["box"]))


def _close_lane(tx: Tx, row: Row, gap_ms: int) -> None:
    if gap_ms:
        lane = {"box": row["box"], "lane": row["lane"]}
        if not tx.update(delivery_lanes, {"open_at": tx.now + gap_ms}, **lane):
            tx.insert(delivery_lanes, {**lane, "open_at": tx.now + gap_ms})


def next_due(tx: Tx, box: str) -> int | None:
    """Return when the next delivery of a box falls due that is not due yet; None without one."""
    opens = sa.func.coalesce(delivery_lanes.c.open_at, 0)
    lane = (delivery_lanes.c.box == deliveries.c.box) & (delivery_lanes.c.lane == deliveries.c.lane)
    due = sa.case((deliveries.c.due_at > opens, deliveries.c.due_at), else_=opens)
    query = sa.select(sa.func.min(due)).outerjoin_from(deliveries, delivery_lanes, lane)
    mine = _is_pending, deliveries.c.box == box, due > tx.now
    found: int | None = tx.scalar(query.where(*mine))
    return found


def pending(tx: Tx, box: str, **like: Any) -> Sequence[Row]:
    """Return what of a box pends unclaimed and has these values, in order."""
    query = deliveries.select().where(_is_pending, deliveries.c.box == box)
    query = query.where(sa.func.coalesce(deliveries.c.claimed_until, 0) <= tx.now)
    for name, value in like.items():
        query = query.where(deliveries.c[name] == value)
    return tx.rows(query.order_by(deliveries.c.id))
