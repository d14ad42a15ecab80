"""Where tests get letters to post, and see what became of them."""

from typing import Any

from nexus.services import deliveries
from nexus.services.deliveries import Letter
from nexus.store import schema
from nexus.store.tx import Row, Tx

BOX = "test-out"


def letter(tenant_id: str, key: str, *, lane: str = "a", **more: Any) -> Letter:
    """Return a letter of the tests' box."""
    given = {"box": BOX, "kind": "note", "payload": {"text": key}, **more}
    return Letter(tenant_id=tenant_id, key=key, lane=lane, **given)


def all_of(tx: Tx, box: str = BOX) -> dict[str, Row]:
    """Return every delivery of a box by its key, in the order in which they came."""
    query = schema.deliveries.select().where(schema.deliveries.c.box == box)
    return {row["key"]: row for row in tx.rows(query.order_by(schema.deliveries.c.id))}


def retry(tx: Tx, key: str) -> None:
    """Have a failed delivery tried anew."""
    deliveries.retry(tx, all_of(tx)[key])
