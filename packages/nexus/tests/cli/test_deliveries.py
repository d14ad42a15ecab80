"""The commands for what goes to and comes from other services, against a real server."""

import pytest

from command_line import CommandLine, ServerProcess
from letters import BOX, letter
from nexus.services import deliveries
from nexus.store import Tx, open_database, schema
from nexus.store.clock import wall_clock


def stage(tx: Tx) -> int:
    """Make a delivery that failed and one that waits; return the id of the first."""
    tenant_id = tx.scalar(schema.tenants.select())
    for key in ("fails", "waits"):
        deliveries.post(tx, letter(tenant_id, f"{key} {tx.now}"))
    (row,) = deliveries.claim(tx, BOX, limit=1)
    deliveries.fail(tx, row, "no such channel")
    return int(row["id"])


@pytest.fixture
def failed(server: ServerProcess) -> int:
    """The id of a delivery that failed."""
    database = open_database(server.data_dir / "nexus.db")
    with database.writer.begin() as connection:
        delivery_id = stage(Tx(connection, wall_clock()))
    database.close()
    return delivery_id


def test_what_failed_is_listed_counted_and_tried_again(nexus: CommandLine, failed: int) -> None:
    listed = nexus("deliveries", "list", "--status", "failed", "--box", BOX)
    assert listed.code == 0, listed.err
    assert "no such channel" in listed.out
    assert str(failed) in listed.out
    before = nexus("deliveries", "counts", "--json").json["items"][0]
    assert before["box"] == BOX
    tried = nexus("deliveries", "retry", str(failed))
    assert (tried.code, tried.out.strip()) == (0, f"tried again: {failed}")
    after = nexus("deliveries", "counts", "--json").json["items"][0]
    assert (after["failed"], after["pending"]) == (before["failed"] - 1, before["pending"] + 1)


def test_what_cannot_be_tried_again_is_said_in_one_line(nexus: CommandLine, failed: int) -> None:
    assert nexus("deliveries", "retry", str(failed), "--json").json["items"][0]["id"] == failed
    again = nexus("deliveries", "retry", str(failed))
    assert (again.code, again.err.count("\n")) == (1, 1)
    assert "only a failed one" in again.err
    assert nexus("deliveries", "retry", "no-number").code == 2
    assert nexus("deliveries", "list", "--status", "lost").code == 2
