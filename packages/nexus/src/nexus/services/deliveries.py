"""Where it is kept what came in from other services and what goes out: each once, in its order.

A box is one direction of one service, such as ``slack-out``. Within a box, what shares a lane is
seen to one at a time, in the order in which it came, the urgent first; lanes do not wait for each
other. A lane knows when the first that pends in it is due, so to find work takes the same time
however much of it there is. To post locks no lane, so that whoever posts to several waits for
nobody; whoever claims plans first what was posted since. Whoever ends a delivery locks its lane
last, for the moment of its update alone.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nexus.domain.deliveries import DeliveryStatus, is_spent
from nexus.domain.errors import Conflict
from nexus.services import activity
from nexus.store.schema import deliveries, delivery_lanes, tasks
from nexus.store.statement import Statement
from nexus.store.tx import Row, Tx

CLAIM_MS = 60_000
"""For how long whoever claims a delivery has it for itself; then it is taken for dead."""

_LONGEST_ERROR = 2_000
_PLANNED_AT_ONCE = 500

_box: sa.BindParameter[str] = sa.bindparam("box")
_lane_name: sa.BindParameter[str] = sa.bindparam("lane")
_now: sa.BindParameter[int] = sa.bindparam("now")
_is_pending = deliveries.c.status == sa.literal_column(f"'{DeliveryStatus.PENDING}'")
_is_unplanned = (deliveries.c.box == _box) & sa.text("NOT deliveries.planned")
_of_lane = _is_pending & (deliveries.c.box == _box) & (deliveries.c.lane == _lane_name)
_in_order = deliveries.c.urgent.desc(), deliveries.c.id

_FIRST = Statement(deliveries.select().where(_of_lane).order_by(*_in_order).limit(1))
_FIRST_DUE = Statement(sa.select(deliveries.c.due_at).where(_of_lane).order_by(*_in_order).limit(1))
_UNSETTLED = Statement(
    sa.select(sa.func.count().label("number")).where(
        deliveries.c.tenant_id == sa.bindparam("tenant_id"), _is_pending
    )
)
_KNOWN = Statement(
    sa.select(deliveries.c.id).where(
        deliveries.c.box == _box, deliveries.c.key == sa.bindparam("key")
    )
)
_LANE = Statement(
    delivery_lanes.select()
    .where(delivery_lanes.c.box == _box, delivery_lanes.c.lane == _lane_name)
    .with_for_update()
)
_LANES_DUE = Statement(
    delivery_lanes.select()
    .where(delivery_lanes.c.box == _box, delivery_lanes.c.due_at <= _now)
    .order_by(delivery_lanes.c.due_at, delivery_lanes.c.lane)
    .limit(sa.bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_NEXT_DUE = Statement(
    sa.select(sa.func.min(delivery_lanes.c.due_at).label("due_at")).where(
        delivery_lanes.c.box == _box
    )
)
_UNPLANNED = Statement(
    sa.select(deliveries.c.id, deliveries.c.lane)
    .where(_is_unplanned)
    .order_by(deliveries.c.id)
    .limit(sa.bindparam("limit"))
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


def moved(tenant_id: str) -> str:
    """Return the topic that is woken when a tenant's delivery stands otherwise than before.

    What succeeds is no entry of the feed, so that it costs no write: whoever shows deliveries
    listens here.
    """
    return f"deliveries of:{tenant_id}"


def unsettled(tx: Tx, tenant_id: str) -> int:
    """Return how many of a tenant's deliveries pend."""
    number: int = tx.scalar(_UNSETTLED, tenant_id=tenant_id)
    return number


def post(tx: Tx, letter: Letter) -> bool:
    """Store a letter; False when one of its key is there already, whose place it does not take."""
    if knows(tx, letter.box, letter.key):
        return False
    values = {"status": DeliveryStatus.PENDING, "due_at": tx.now, "created_at": tx.now}
    tx.insert(deliveries, {**vars(letter), **values, "planned": False})
    tx.wake(topic(letter.box), moved(letter.tenant_id))
    return True


def knows(tx: Tx, box: str, key: str) -> bool:
    """Say whether a letter of this key was ever posted, and is not long gone."""
    return tx.one(_KNOWN, box=box, key=key) is not None


def post_all(tx: Tx, letters: Iterable[Letter]) -> None:
    """Store letters, each if it is the first of its key."""
    for letter in letters:
        post(tx, letter)


def claim(tx: Tx, box: str, *, limit: int) -> list[Row]:
    """Take the first of up to ``limit`` lanes that are due, those first that wait longest.

    Whoever claims has :data:`CLAIM_MS` to :func:`end`, :func:`postpone`, :func:`fail` or
    :func:`release` each. A delivery that was claimed before without that is ``unsure``: it may have
    had its effect.
    """
    _plan_posted(tx, box)
    lanes = tx.rows(_LANES_DUE, box=box, now=tx.now, limit=limit)
    taken = [_take(tx, lane) for lane in lanes]
    return [row for row in taken if row is not None]


def end(
    tx: Tx,
    row: Row,
    record: Callable[[Tx], object] | None = None,
    *,
    gap_ms: int = 0,
    go_on: bool = False,
) -> Row | None:
    """Note that a delivery has been made, with what is to be recorded of it.

    Its lane opens for the next after ``gap_ms``; to ``go_on`` is to claim that in the same
    transaction, if it is due. It is returned then.

    Raises:
        Conflict: the claim ran out, and somebody else has it.
    """
    _settle(tx, row, {"status": DeliveryStatus.DONE, "ended_at": tx.now, "error": None})
    if record is not None:
        record(tx)
    lane = _free(tx, row, tx.now + gap_ms)
    return _take(tx, lane) if go_on and _is_due(tx, lane) else None


def postpone(
    tx: Tx, row: Row, why: str, *, after_ms: int, counts: bool = True, unsure: bool = False
) -> None:
    """Have a delivery tried again after a while; where that ``counts`` too often, it has failed.

    Raises:
        Conflict: the claim ran out, and somebody else has it.
    """
    row = {**row, "tries": row["tries"] + counts, "unsure": row["unsure"] or unsure}
    if is_spent(row["tries"]):
        fail(tx, row, f"given up after {row['tries']} tries; the last one: {why}")
        return
    _settle(tx, row, {**_kept(row), "due_at": tx.now + after_ms, "error": _told(why)})
    _free(tx, row, tx.now)


def release(tx: Tx, rows: Iterable[Row]) -> None:
    """Give back claims that nothing was done about; those that ran out are somebody else's."""
    for row in rows:
        if tx.update(deliveries, {"claimed_until": None}, **_claim_of(row)):
            _free(tx, row, tx.now)


def fail(tx: Tx, row: Row, why: str) -> None:
    """End a delivery that cannot be made; people see that, and may have it tried again.

    Raises:
        Conflict: the claim ran out, and somebody else has it.
    """
    _bury(tx, row, why)
    _free(tx, row, tx.now)


def retry(tx: Tx, row: Row) -> None:
    """Have a failed delivery tried anew, as a fresh one, before all that came after it.

    It is no longer ``unsure``: whoever has it retried has looked.

    Raises:
        Conflict: it has not failed.
    """
    values = {"status": DeliveryStatus.PENDING, "due_at": tx.now, "ended_at": None}
    values |= {"tries": 0, "unsure": False, "planned": False}
    if not tx.update(deliveries, values, id=row["id"], status=DeliveryStatus.FAILED):
        raise Conflict(f"delivery {row['id']} is {row['status']}; only a failed one is retried")
    tx.wake(topic(row["box"]), moved(row["tenant_id"]))


def next_due(tx: Tx, box: str) -> int | None:
    """Return in how many milliseconds a box has something to see to; None while it is empty.

    That is 0 while something that was posted waits to be planned by a :func:`claim`.
    """
    if tx.rows(_UNPLANNED, box=box, limit=1):
        return 0
    due: int | None = tx.scalar(_NEXT_DUE, box=box)
    return None if due is None else max(due - tx.now, 0)


def pending(tx: Tx, box: str, /, **like: Any) -> Sequence[Row]:
    """Return what of a box pends unclaimed and has these values, in order."""
    query = deliveries.select().where(_is_pending, deliveries.c.box == box)
    query = query.where(sa.func.coalesce(deliveries.c.claimed_until, 0) <= tx.now)
    for name, value in like.items():
        query = query.where(deliveries.c[name] == value)
    return tx.rows(query.order_by(deliveries.c.id))


def end_pauses(tx: Tx) -> None:
    """Have all that rests seen to now: a clock that was set back would let it rest too long."""
    resting = _is_pending & (deliveries.c.due_at > tx.now)
    tx.change(deliveries.update().where(resting).values(due_at=tx.now))
    claimed = sa.exists().where(
        _is_pending,
        deliveries.c.box == delivery_lanes.c.box,
        deliveries.c.lane == delivery_lanes.c.lane,
        deliveries.c.claimed_until == delivery_lanes.c.open_at,
    )
    closed = delivery_lanes.select().where(delivery_lanes.c.due_at > tx.now, ~claimed)
    for lane in tx.rows(closed.with_for_update()):
        _plan(tx, {**lane, "open_at": tx.now})
        tx.wake(topic(lane["box"]))


# --- what a delivery goes through


def _take(tx: Tx, lane: Row) -> Row | None:
    """Claim the first of a lane that is due, and close the lane until that claim runs out."""
    row = tx.one(_FIRST, box=lane["box"], lane=lane["lane"])
    if row is None or row["due_at"] > tx.now:
        _plan(tx, lane)
        return None
    if row["claimed_until"] is not None:
        row = {**row, "tries": row["tries"] + 1, "unsure": True}
        if is_spent(row["tries"]):
            _bury(tx, row, f"given up after {row['tries']} tries; the last one never ended")
            return _take(tx, lane)
    until = tx.now + CLAIM_MS
    claim = {**_kept(row), "claimed_until": until, "planned": True}
    tx.update(deliveries, claim, id=row["id"])
    _update(tx, lane, open_at=until, due_at=until)
    return {**row, "claimed_until": until}


def _bury(tx: Tx, row: Row, why: str) -> None:
    values = {"status": DeliveryStatus.FAILED, "ended_at": tx.now, "error": _told(why)}
    _settle(tx, row, {**_kept(row), **values})
    activity.record(
        tx,
        row["tenant_id"],
        "delivery_failed",
        task=tx.one(tasks.select().where(tasks.c.id == row["task_id"])),
        delivery_id=row["id"],
        box=row["box"],
        kind=row["kind"],
        error=_told(why),
    )


def _settle(tx: Tx, row: Row, values: dict[str, Any]) -> None:
    if not tx.update(deliveries, {**values, "claimed_until": None}, **_claim_of(row)):
        raise Conflict(f"delivery {row['id']} is no longer claimed here")
    tx.wake(moved(row["tenant_id"]))


def _claim_of(row: Row) -> dict[str, Any]:
    """Return what a delivery looks like as long as this claim of it stands."""
    claim = {name: row[name] for name in ("id", "claimed_until")}
    return {**claim, "status": DeliveryStatus.PENDING}


def _kept(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("tries", "unsure")}


def _told(why: str) -> str:
    """Return an error as it is kept: PostgreSQL takes no NUL, and people read no book."""
    return why.replace("\x00", "")[:_LONGEST_ERROR]


# --- what a lane goes through


def _plan_posted(tx: Tx, box: str) -> None:
    """Have the lanes know of what was posted since; of much, by and by."""
    if not tx.rows(_UNPLANNED, box=box, limit=1):
        return
    tx.exclude("delivery lanes", box)  # or two nodes would make the same lane
    posted = tx.rows(_UNPLANNED, box=box, limit=_PLANNED_AT_ONCE)
    for name in sorted({row["lane"] for row in posted}):
        _plan(tx, _lane(tx, box, name))
    ids = [row["id"] for row in posted]
    tx.change(deliveries.update().where(deliveries.c.id.in_(ids)).values(planned=True))


def _lane(tx: Tx, box: str, name: str) -> Row:
    """Return a lane, locked; made if need be."""
    lane = tx.one(_LANE, box=box, lane=name)
    if lane is not None:
        return lane
    lane = {"box": box, "lane": name, "open_at": 0, "due_at": None}
    tx.insert(delivery_lanes, lane)
    return lane


def _plan(tx: Tx, lane: Row) -> Row:
    """Note when the first that pends in a lane can be seen to."""
    first: int | None = tx.scalar(_FIRST_DUE, box=lane["box"], lane=lane["lane"])
    due_at = None if first is None else max(first, lane["open_at"])
    return _update(tx, lane, open_at=lane["open_at"], due_at=due_at)


def _free(tx: Tx, row: Row, open_at: int) -> Row:
    """Open the lane of a claim that has ended, unless somebody else has claimed in it since."""
    lane = _lane(tx, row["box"], row["lane"])
    if lane["open_at"] == row["claimed_until"]:
        lane = {**lane, "open_at": open_at}
    lane = _plan(tx, lane)
    if lane["due_at"] is not None:
        tx.wake(topic(row["box"]))
    return lane


def _is_due(tx: Tx, lane: Row) -> bool:
    return lane["due_at"] is not None and lane["due_at"] <= tx.now


def _update(tx: Tx, lane: Row, *, open_at: int, due_at: int | None) -> Row:
    values = {"open_at": open_at, "due_at": due_at}
    tx.update(delivery_lanes, values, box=lane["box"], lane=lane["lane"])
    return {**lane, **values}
