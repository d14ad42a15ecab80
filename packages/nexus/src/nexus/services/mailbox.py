"""Where people see how deliveries stand, and have those that failed tried again."""

from collections.abc import Sequence

import sqlalchemy as sa
from pydantic import Field

from nexus.domain.deliveries import DeliveryStatus
from nexus.domain.errors import NotFound
from nexus.domain.principal import Principal
from nexus.services import deliveries as queue
from nexus.services.command import Command
from nexus.services.resources import Backlog, Delivery
from nexus.services.views import moment, moment_or_none
from nexus.store.schema import deliveries, tenants
from nexus.store.tx import Row, Tx

_LARGEST_ID = 2**63 - 1


class DeliveryFilter(Command):
    """Which deliveries to list; ``cursor`` continues below the one with that id."""

    box: str | None = Field(default=None, max_length=32)
    status: DeliveryStatus | None = None
    cursor: int | None = Field(default=None, ge=0, le=_LARGEST_ID)
    limit: int = Field(default=50, ge=1, le=200)


def search(tx: Tx, tenant_id: str, wanted: DeliveryFilter) -> Sequence[Row]:
    """Return the tenant's deliveries, newest first; one more than the limit if there are more."""
    query = deliveries.select().where(deliveries.c.tenant_id == tenant_id)
    if wanted.box is not None:
        query = query.where(deliveries.c.box == wanted.box)
    if wanted.status is not None:
        query = query.where(deliveries.c.status == wanted.status)
    if wanted.cursor is not None:
        query = query.where(deliveries.c.id < wanted.cursor)
    return tx.rows(query.order_by(deliveries.c.id.desc()).limit(wanted.limit + 1))


def retry(tx: Tx, caller: Principal, delivery_id: int) -> Delivery:
    """Have a delivery that failed tried anew.

    Raises:
        NotFound: there is no such delivery.
        Conflict: it has not failed.
    """
    queue.retry(tx, _row(tx, caller.tenant_id, delivery_id))
    return view(_row(tx, caller.tenant_id, delivery_id))


def _row(tx: Tx, tenant_id: str, delivery_id: int) -> Row:
    mine = (deliveries.c.id == delivery_id) & (deliveries.c.tenant_id == tenant_id)
    row = tx.one(deliveries.select().where(mine)) if 0 <= delivery_id <= _LARGEST_ID else None
    if row is None:
        raise NotFound(f"there is no delivery {delivery_id}")
    return row


def backlog(tx: Tx, tenant_id: str | None = None) -> list[Backlog]:
    """Return what waits and what failed in each box of a tenant, or of all of them."""
    number, oldest = sa.func.count(), sa.func.min(deliveries.c.created_at)
    query = (
        sa.select(
            deliveries.c.box, deliveries.c.status, number.label("number"), oldest.label("oldest")
        )
        .join_from(tenants, deliveries, deliveries.c.tenant_id == tenants.c.id)  # has the index
        .where(deliveries.c.status.in_([DeliveryStatus.PENDING, DeliveryStatus.FAILED]))
        .group_by(deliveries.c.box, deliveries.c.status)
        .order_by(deliveries.c.box)
    )
    if tenant_id is not None:
        query = query.where(tenants.c.id == tenant_id)
    found: dict[str, dict[str, Row]] = {}
    for row in tx.rows(query):
        found.setdefault(row["box"], {})[row["status"]] = row
    return [_backlog(box, by_status) for box, by_status in found.items()]


def _backlog(box: str, by_status: dict[str, Row]) -> Backlog:
    pending, failed = by_status.get(DeliveryStatus.PENDING), by_status.get(DeliveryStatus.FAILED)
    return Backlog(
        box=box,
        pending=pending["number"] if pending else 0,
        failed=failed["number"] if failed else 0,
        oldest_pending_at=moment(pending["oldest"]) if pending else None,
    )


def view(row: Row) -> Delivery:
    """Return a delivery as people see it; what it holds may be secret, and is not shown."""
    return Delivery(
        id=row["id"],
        box=row["box"],
        kind=row["kind"],
        lane=row["lane"],
        task_id=row["task_id"],
        status=row["status"],
        tries=row["tries"],
        unsure=row["unsure"],
        error=row["error"],
        created_at=moment(row["created_at"]),
        due_at=moment(row["due_at"]) if row["status"] == DeliveryStatus.PENDING else None,
        ended_at=moment_or_none(row["ended_at"]),
    )
