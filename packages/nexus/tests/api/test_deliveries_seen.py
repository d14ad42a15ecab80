"""People see what goes to and comes from other services, and have what failed tried again."""

from typing import Any

import pytest

from letters import BOX, letter
from live_nexus import Admin, LiveNexus
from nexus.services import deliveries
from nexus.store import Tx, schema

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/observer/deliveries"


def stage(tx: Tx) -> list[int]:
    """Make one delivery that is done, two that failed, and one that waits; return their ids."""
    tx.change(schema.deliveries.delete())
    tx.change(schema.delivery_lanes.delete())
    tenant_id = tx.scalar(schema.tenants.select())
    for key, box in (("done", "aside"), ("failed 1", BOX), ("failed 2", BOX), ("waits", BOX)):
        deliveries.post(tx, letter(tenant_id, key, box=box, payload={"secret": "xoxb-hidden"}))
    (done,) = deliveries.claim(tx, "aside", limit=1)
    deliveries.end(tx, done)
    for _ in range(2):
        (row,) = deliveries.claim(tx, BOX, limit=1)
        deliveries.fail(tx, row, "no such channel")
    return [row["id"] for row in tx.rows(schema.deliveries.select().order_by("id"))]


@pytest.fixture
async def ids(nexus: LiveNexus) -> list[int]:
    """The ids of the deliveries on stage."""
    return await nexus.serving.nexus.platform.store.write(stage)


def keys_of(page: dict[str, Any]) -> list[int]:
    return [one["id"] for one in page["items"]]


async def test_deliveries_are_listed_newest_first_page_by_page(
    viewer: Admin, ids: list[int]
) -> None:
    first = await viewer.get(PATH, limit=3)
    rest = await viewer.get(PATH, limit=3, cursor=first["nextCursor"])
    assert keys_of(first) + keys_of(rest) == ids[::-1]
    assert "nextCursor" not in rest
    failed = first["items"][1]
    assert failed["error"] == "no such channel"
    assert "endedAt" in failed
    assert "dueAt" in first["items"][0]
    assert "xoxb-hidden" not in str(first)


async def test_deliveries_are_found_by_box_and_by_status(viewer: Admin, ids: list[int]) -> None:
    assert keys_of(await viewer.get(PATH, status="failed")) == [ids[2], ids[1]]
    assert keys_of(await viewer.get(PATH, box="aside")) == [ids[0]]
    assert keys_of(await viewer.get(PATH, box="aside", status="failed")) == []
    for wrong in ({"status": "lost"}, {"cursor": 2**63}, {"cursor": "x"}, {"limit": 0}):
        assert (await viewer.http.get(PATH, params=wrong)).status_code == 422


async def test_what_waits_and_what_failed_is_counted_for_each_box(
    viewer: Admin, ids: list[int]
) -> None:
    (box,) = (await viewer.get(f"{PATH}/counts"))["items"]
    assert (box["box"], box["pending"], box["failed"]) == (BOX, 1, 2)
    assert "oldestPendingAt" in box


async def test_a_failed_one_is_tried_again_and_the_audit_log_says_by_whom(
    nexus: LiveNexus, ids: list[int]
) -> None:
    tried = await nexus.admin.post(f"{PATH}/{ids[1]}/retry")
    assert (tried["status"], tried["tries"]) == ("pending", 0)
    (entry, *_) = (await nexus.admin.get("/observer/audit"))["items"]
    assert (entry["action"], entry["target"]) == ("retry_delivery", str(ids[1]))
    again = await nexus.admin.http.post(f"{PATH}/{ids[1]}/retry")
    assert again.status_code == 409
    assert "only a failed one" in again.json()["detail"]
    for unknown, status in ((10**9, 404), (2**63, 422), ("x", 422)):
        answer = await nexus.admin.http.post(f"{PATH}/{unknown}/retry")
        assert answer.status_code == status


async def test_the_deliveries_of_another_tenant_are_not_there(
    stranger: Admin, ids: list[int]
) -> None:
    assert keys_of(await stranger.get(PATH)) == []
    assert (await stranger.get(f"{PATH}/counts"))["items"] == []
    assert (await stranger.http.post(f"{PATH}/{ids[1]}/retry")).status_code == 404


async def test_machines_see_what_waits_and_what_failed(nexus: LiveNexus, ids: list[int]) -> None:
    text = (await nexus.admin.http.get("/metrics")).text
    assert f'nexus_deliveries_pending{{box="{BOX}"}} 1.0' in text
    assert f'nexus_deliveries_failed{{box="{BOX}"}} 2.0' in text
    assert f'nexus_deliveries_oldest_pending_seconds{{box="{BOX}"}}' in text
    await nexus.serving.nexus.platform.store.write(
        lambda tx: tx.change(schema.deliveries.delete()) and None
    )
    gauges = ("nexus_deliveries_pending{", "nexus_deliveries_failed{", "nexus_deliveries_oldest")
    lines = (await nexus.admin.http.get("/metrics")).text.splitlines()
    assert [line for line in lines if line.startswith(gauges) and BOX in line] == []
