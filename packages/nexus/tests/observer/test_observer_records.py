"""The Observer looks back: what happened, who did what, and what was delivered or not."""

import re
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import Page, expect

from browser import opened
from letters import BOX, letter
from live_nexus import LiveNexus
from nexus.services import activity, deliveries
from nexus.store import Tx, schema
from nexus.store.schema import tenants
from nexus.store.tx import Row
from observer_visitor import problem_of, visitor
from slack_stage import CHANNEL, stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


def shown(page: httpx2.Response) -> str:
    """Return what a page's list shows, as text."""
    assert page.status_code == 200, page.text
    found = re.search(r'<ol class="feed">(.*?)</ol>', page.text, re.DOTALL)
    return re.sub(r"<[^>]+>|\s+", " ", found[1]) if found else ""


async def test_activity_is_filtered_by_what_it_is_about(
    nexus: LiveNexus, admin: httpx2.AsyncClient
) -> None:
    task = await nexus.admin.task("Filter me")
    await nexus.admin.say(task["id"], "Said to be filtered")
    await nexus.admin.agent("filtered-agent")
    all_of_it = shown(await admin.get("/ui/activity"))
    assert "Filter me" in all_of_it
    assert "Filtered Agent" in all_of_it
    tasks = shown(await admin.get("/ui/activity?kind=tasks"))
    assert "Filter me" in tasks
    assert "Said to be filtered" not in tasks
    assert "Filtered Agent" not in tasks
    messages = shown(await admin.get("/ui/activity?kind=messages"))
    assert "Said to be filtered" in messages
    about_it = shown(await admin.get("/ui/activity?agent_id=filtered-agent"))
    assert "Filtered Agent" in about_it
    assert "Filter me" not in about_it
    nothing = await admin.get(f"/ui/activity?project_id={task['projectId']}&kind=agents")
    assert "Nothing fits" in nothing.text
    assert (await admin.get("/ui/activity?kind=nope")).status_code == 422


async def test_activity_goes_on_page_by_page(nexus: LiveNexus, admin: httpx2.AsyncClient) -> None:
    for number in range(60):
        await nexus.admin.task(f"Paged {number:02}")
    first = await admin.get("/ui/activity?kind=tasks")
    older = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert older is not None
    second = await admin.get(older[1].replace("&amp;", "&"))
    found = re.findall(r"Paged (\d\d)", shown(first) + shown(second))
    assert found == [f"{number:02}" for number in reversed(range(60))]


async def test_the_audit_log_is_for_admins_and_filtered(
    nexus: LiveNexus, admin: httpx2.AsyncClient, viewer_id: str
) -> None:
    task = await nexus.admin.task("To be cancelled")
    await nexus.admin.post(f"/observer/tasks/{task['id']}/cancel", reason="<i>no</i> need")
    page = await admin.get(f"/ui/audit?action=cancel_task&target={task['id']}")
    assert page.text.count('<tr id="s') == 1
    assert "&lt;i&gt;no&lt;/i&gt; need" in page.text
    assert "No entry fits" in (await admin.get("/ui/audit?actor=nobody")).text
    async with visitor(nexus, viewer_id) as viewer:
        refused = await viewer.get("/ui/audit")
        assert refused.status_code == 403
        assert "role admin" in problem_of(refused)
        assert "/ui/audit" not in (await viewer.get("/")).text


def broken(tx: Tx) -> int:
    """Make a delivery that has failed; return its id."""
    tenant_id = tx.scalar(schema.tenants.select())
    deliveries.post(tx, letter(tenant_id, "broken", payload={"secret": "xoxb-hidden"}))
    (row,) = deliveries.claim(tx, BOX, limit=1)
    deliveries.fail(tx, row, "no <b>such</b> channel")
    return int(row["id"])


async def test_a_delivery_that_is_made_is_seen_to_be_without_an_entry_of_the_feed(
    nexus: LiveNexus, page: Page
) -> None:
    store = nexus.serving.nexus.platform.store

    def post(tx: Tx) -> tuple[Row, int]:
        tenant_id = tx.scalar(tenants.select())
        deliveries.post(tx, letter(tenant_id, "made", lane="made"))
        (row,) = deliveries.claim(tx, BOX, limit=1)
        return row, activity.position(tx, tenant_id)

    row, before = await store.write(post)
    await opened(page, f"/ui/slack?box={BOX}")
    shown = page.locator(f"#d{row['id']}")
    await expect(shown).to_contain_text("Pending")
    await store.write(deliveries.end, row)
    await expect(shown).to_contain_text("Done")
    assert await store.read(activity.position, row["tenant_id"]) == before


async def test_a_failed_delivery_is_seen_and_tried_again(
    nexus: LiveNexus, admin: httpx2.AsyncClient, viewer_id: str
) -> None:
    failed = await nexus.serving.nexus.platform.store.write(broken)
    for path in ("/ui/slack", "/ui/slack?status=failed", f"/ui/slack?box={BOX}"):
        page = await admin.get(path)
        assert f'id="d{failed}"' in page.text
        assert "no &lt;b&gt;such&lt;/b&gt; channel" in page.text
        assert "xoxb-hidden" not in page.text
        assert "Slack is not connected here" in page.text
    assert f'id="d{failed}"' not in (await admin.get("/ui/slack?status=done")).text
    async with visitor(nexus, viewer_id) as viewer:
        assert (await viewer.post(f"/ui/deliveries/{failed}/retry")).status_code == 403
    assert (await admin.post(f"/ui/deliveries/{failed}/retry")).status_code == 303
    one = (await nexus.admin.get("/observer/deliveries", box=BOX))["items"][0]
    assert one["status"] == "pending"
    again = await admin.post(f"/ui/deliveries/{failed}/retry")
    assert again.status_code == 409
    for nowhere in ("x", "0", "-1", "9" * 30):
        assert (await admin.post(f"/ui/deliveries/{nowhere}/retry")).status_code == 404


async def test_slack_shows_its_channels_where_it_is_connected(tmp_path: Path) -> None:
    async with stage(tmp_path / "data") as here, visitor(here.nexus, "admin") as admin:
        page = await admin.get("/ui/slack")
        assert "Connected with" in page.text
        assert f"#{CHANNEL}" in page.text
