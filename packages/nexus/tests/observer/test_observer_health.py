"""The kill switch and the page of health: stop all, seen everywhere; what checks have found."""

import asyncio

import httpx2
import pytest
from playwright.async_api import Browser, Page, expect

from browser import PHONE, opened, person
from eventually import eventually
from live_nexus import LiveNexus
from nexus.domain.findings import Finding
from nexus.observer import Observer
from nexus.services import tenants
from nexus.services.secrets import hash_secret
from nexus.services.tenants import CreateTenant
from nexus.store.schema import audit
from observer_scene import Scene
from observer_visitor import visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_all_agents_are_stopped_which_every_page_says_and_resumed(
    page: Page, team: Scene
) -> None:
    other = await page.context.new_page()
    await opened(other, "/ui/groups")
    await opened(page, "/ui/health")
    await expect(page.locator(".switch")).to_contain_text("2 are online")
    await page.get_by_text("Stop all agents", exact=True).click()
    await page.get_by_label("Reason").fill("They went wild.")
    await page.get_by_role("button", name="Stop them all").click()
    await expect(page.locator(".switch")).to_contain_text("All agents are stopped")
    await expect(other.locator("#halt")).to_contain_text("All agents are stopped")
    assert (await team.nexus.admin.get("/observer/stop-all"))["stopped"]

    async def gone() -> bool:
        stats = await team.nexus.admin.get("/observer/stats")
        return bool(stats["agents"]["online"] == 0)

    await eventually(gone, what="all sessions end")
    await opened(other, "/")
    await expect(other.locator("#halt")).to_be_visible()
    await other.get_by_role("link", name="Let them work again").click()
    await other.get_by_role("button", name="Let them work again").click()
    await expect(page.locator("#halt")).to_have_count(0)
    await expect(page.locator(".switch")).to_contain_text("Agents may work")
    entries = (await team.nexus.admin.get("/observer/audit", limit=2))["items"]
    assert [entry["action"] for entry in entries] == ["resume_all", "stop_all"]
    assert entries[1]["details"] == {"reason": "They went wild."}


async def test_on_a_phone_what_is_asked_before_an_act_is_seen_whole(
    nexus: LiveNexus, browser: Browser, team: Scene
) -> None:
    link = nexus.serving.nexus.observer.link("admin")
    async with person(browser, nexus.url, link, **PHONE) as (page, _):
        for path in ("/ui/health", "/ui/agents/ada", "/ui/groups/team"):
            await opened(page, path)
            for asked in await page.locator("details.confirm").all():
                await asked.locator("summary").click()
                box = await asked.locator(".pop").bounding_box()
                assert box is not None
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= PHONE["viewport"]["width"]
                await page.keyboard.press("Escape")
                await expect(asked.locator(".pop")).to_be_hidden()


async def test_health_says_what_the_doctor_finds(
    nexus: LiveNexus, admin: httpx2.AsyncClient
) -> None:
    shown = (await admin.get("/ui/health")).text
    for check in (
        "python",
        "secrets",
        "data folder",
        "keys",
        "database",
        "schema",
        "audit log",
        "slack",
    ):
        assert f"<b>{check}</b>" in shown, check
    assert "All is well" in shown
    key = nexus.serving.nexus.observer.house.examine
    assert key is not None
    folder = next(
        found for found in key(await _tenant(nexus)) if found.check == "data folder"
    ).found
    from pathlib import Path

    secret = Path(folder) / "pepper.key"
    await asyncio.to_thread(secret.chmod, 0o644)
    try:
        open_ = (await admin.get("/ui/health")).text
    finally:
        await asyncio.to_thread(secret.chmod, 0o600)
    assert "All is well" not in open_
    assert "others on this machine can read" in open_
    assert "chmod 600" in open_


async def test_health_says_that_somebody_meddled_with_the_audit_log(
    nexus: LiveNexus, admin: httpx2.AsyncClient
) -> None:
    store = nexus.serving.nexus.platform.store
    await nexus.admin.agent("audited")
    whole = "whole, as far as its 1,000 newest entries go"
    assert whole in (await admin.get("/ui/health")).text
    newest = await store.read(lambda tx: tx.rows(audit.select().order_by(audit.c.seq.desc()))[0])
    place = (audit.c.tenant_id == newest["tenant_id"]) & (audit.c.seq == newest["seq"])
    await store.write(lambda tx: tx.change(audit.update().where(place).values(actor="nobody")))
    changed = (await admin.get("/ui/health")).text
    assert whole not in changed
    assert f"entry {newest['seq']} is not what was written there" in changed
    await store.write(lambda tx: tx.change(audit.delete().where(place)))
    assert f"entry {newest['seq']} is missing" in (await admin.get("/ui/health")).text
    await store.write(lambda tx: tx.insert(audit, dict(newest)))
    assert whole in (await admin.get("/ui/health")).text


async def _tenant(nexus: LiveNexus) -> str:
    from nexus.store.schema import tenants as all_tenants

    store = nexus.serving.nexus.platform.store
    return await store.read(lambda tx: str(tx.scalar(all_tenants.select())))


async def test_other_tenants_see_nothing_of_the_machine_and_stop_only_their_own(
    nexus: LiveNexus,
) -> None:
    platform = nexus.serving.nexus.platform
    wish = CreateTenant(slug="guests", name="Guests", admin_client_id="admin-guests")
    await platform.store.write(tenants.create, wish, hash_secret("obv_x" * 12, platform.pepper))
    async with visitor(nexus, "admin-guests") as stranger:
        shown = (await stranger.get("/ui/health")).text
        assert "data folder" not in shown
        assert "pepper" not in shown
        assert (await stranger.post("/ui/stop-all")).status_code == 303
        assert "All agents are stopped" in (await stranger.get("/ui/health")).text
    assert not (await nexus.admin.get("/observer/stop-all"))["stopped"]


async def test_what_is_bad_comes_first(nexus: LiveNexus) -> None:
    found = [
        Finding(check="fine", status="ok", found="well"),
        Finding(check="broken", status="fail", found="not well", fix="mend it"),
    ]
    house = nexus.serving.nexus.observer.house
    observer = Observer(house.platform, house.recognise, examine=lambda _: found)
    transport = httpx2.ASGITransport(app=observer)
    async with visitor(nexus, "admin") as known:
        headers = dict(known.headers)
    async with httpx2.AsyncClient(transport=transport, base_url=nexus.url, headers=headers) as http:
        shown = (await http.get("/health")).text
    assert shown.index("<b>broken</b>") < shown.index("<b>fine</b>")
    assert "mend it" in shown
