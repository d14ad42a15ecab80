"""The Observer in a real browser: drafts, filters, keys, and every page for everybody who looks."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from browser import PHONE, person
from live_nexus import LiveNexus
from nexus.observer.site import ADMIN_PAGES, PAGES, address
from observer_scene import Scene

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def page(nexus: LiveNexus, browser: Browser) -> AsyncIterator[Page]:
    """An admin's page, signed in and live; it may not complain about anything."""
    link = nexus.serving.nexus.observer.link("admin")
    async with person(browser, nexus.url, link) as (page, complaints):
        await live(page)
        yield page
        assert complaints == []


async def live(page: Page) -> None:
    await expect(page.locator("#live")).to_have_attribute("data-state", "on")


async def test_a_draft_outlives_what_happens_meanwhile(
    page: Page, team: Scene, nexus: LiveNexus
) -> None:
    task = await team.give("Wait for something", requiredCapabilities=["nobody-has-it"])
    await page.goto(f"/ui/tasks/{task['id']}")
    await live(page)
    say = page.get_by_label("Write into the thread")
    await say.fill("Half a sent")
    await nexus.admin.say(task["id"], "Somebody else was quicker.")
    await expect(page.locator(".thread")).to_contain_text("Somebody else was quicker.")
    await expect(say).to_have_value("Half a sent")
    await say.press("Control+Enter")
    await expect(page.locator(".thread")).to_contain_text("Half a sent")
    await expect(say).to_have_value("")


async def test_a_task_is_reprioritised_cancelled_and_retried(page: Page, team: Scene) -> None:
    task = await team.give("Change your mind", requiredCapabilities=["nobody-has-it"])
    await page.goto(f"/ui/tasks/{task['id']}")
    await live(page)
    await page.get_by_label("Priority").select_option(label="Urgent")
    await page.get_by_role("button", name="Set priority").click()
    await expect(page.locator("div.facts .p-1")).to_have_text("Urgent")
    await page.get_by_text("Cancel task").click()
    await page.get_by_label("Reason").fill("no need")
    await page.get_by_role("button", name="Cancel it").click()
    await expect(page.locator("div.facts .pill")).to_have_text("Cancelled")
    await expect(page.locator(".toast").last).to_contain_text("Cancelled")
    await page.get_by_role("button", name="Retry").click()
    await expect(page.locator("div.facts .pill")).to_have_text("Waiting")


async def test_tasks_are_searched_and_filtered(page: Page, team: Scene) -> None:
    for number in range(60):
        await team.give(f"Many {number:02}", requiredCapabilities=["nobody-has-it"])
    await page.goto("/ui/tasks?text=many")
    rows = page.locator("table.rows tbody tr")
    await expect(rows).to_have_count(50)
    await page.get_by_role("link", name="Older").click()
    await expect(rows).to_have_count(10)
    await page.get_by_placeholder("Search in titles").fill("MANY 07")
    await page.keyboard.press("Enter")
    await expect(rows).to_have_count(1)
    await page.get_by_label("Status").select_option(label="Done")
    await expect(page.get_by_text("No task fits")).to_be_visible()


async def test_signing_out_reaches_the_other_open_page(nexus: LiveNexus, browser: Browser) -> None:
    link = nexus.serving.nexus.observer.link("admin")
    async with person(browser, nexus.url, link) as (page, _):
        await live(page)
        other = await page.context.new_page()
        await other.goto("/ui/tasks")
        await live(other)
        await page.get_by_role("button", name="admin").click()
        await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        await nexus.admin.task("Something new")
        await expect(other.get_by_role("button", name="Sign in")).to_be_visible()


async def test_keys_lead_everywhere(page: Page) -> None:
    await page.keyboard.press("g")
    await page.keyboard.press("t")
    await page.wait_for_url("**/ui/tasks")
    await page.keyboard.press("/")
    await expect(page.get_by_placeholder("Search in titles")).to_be_focused()
    await page.goto("/")
    await page.keyboard.press("n")
    await page.wait_for_url("**/ui/tasks/new")
    await page.goto("/")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def names(nexus: LiveNexus, team: Scene) -> dict[str, str]:
    """What the addresses of pages name; some of it with names that are long."""
    task = await team.give("A" * 120, requiredCapabilities=["nobody-has-it"])
    await nexus.admin.say(task["id"], "Words " * 40)
    await nexus.admin.post("/observer/registration-tokens", groupId="team", name="B" * 120)
    return {
        "task_id": task["id"],
        "agent_id": (await nexus.admin.get("/observer/agents/ada"))["id"],
        "group_id": (await nexus.admin.get("/groups/team"))["id"],
        "project_id": (await nexus.admin.get("/projects/team"))["id"],
    }


def address_of(path: str, names: dict[str, str]) -> str:
    return address(re.sub(r"{(\w+)}", lambda found: names[found[1]], path))


@pytest.mark.parametrize("path", [*PAGES, *ADMIN_PAGES])
async def test_every_page_serves_assistive_technology_in_both_themes_and_fits_a_phone(
    nexus: LiveNexus, browser: Browser, names: dict[str, str], path: str
) -> None:
    link = nexus.serving.nexus.observer.link("admin")
    async with person(browser, nexus.url, link, **PHONE) as (page, complaints):
        await page.goto(address_of(path, names))
        for theme in ("dark", "light"):
            await expect(page.locator("html")).to_have_attribute("data-theme", theme)
            await live(page)
            width = await page.evaluate("document.documentElement.scrollWidth")
            assert width <= PHONE["viewport"]["width"]
            await fits(page, f"{path} in {theme}")
            await page.locator('form[action="/ui/theme"] button').click()
        assert complaints == []


async def fits(page: Page, where: str) -> None:
    """Find nothing that the WCAG's level AA forbids, as far as a program can tell."""
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
    # Our policy keeps its script out of the page, too: it is run as Playwright's own.
    found = await Axe().run(page, options=options)
    assert found.violations_count == 0, f"{where}: {found.generate_report()}"
