"""Tools in the Observer, in a real browser: decided about as they are, ruled, never hidden."""

import itertools
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from live_nexus import LiveNexus
from nexus.observer.look import to_the_letter
from observer_scene import Scene
from observer_visitor import problem_of, visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEPLOY = {
    "tool": "ship",
    "action": "deploy",
    "description": "Puts a version where people use it",
    "inputSchema": {"type": "object", "properties": {"version": {"type": "string"}}},
}
NUMBERS = itertools.count()


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def rule(nexus: LiveNexus, team: Scene) -> None:
    """Grace offers a tool, which needs a person's approval."""
    await team.agents["grace"].ready(acceptsTasks=False, tools=[DEPLOY])
    await nexus.admin.post(
        "/observer/tools/rules", tools=["ship.*"], requiresApproval=True, name="with care"
    )


async def ask(team: Scene, **params: Any) -> dict[str, str]:
    """Have Ada ask for a deployment, until it waits; return the request's id and the call's."""
    before = len(team.agents["ada"].named("tool_waiting"))
    request = f"r{next(NUMBERS)}"
    wish = {"requestId": request, "tool": "ship", "action": "deploy", "params": params}
    answer = await team.agents["ada"].call("tool_request", {**wish, "waits": True})
    await team.agents["ada"].until("tool_waiting", count=before + 1)
    return {"request": request, "call": answer["callId"]}


async def test_a_call_is_denied_on_the_overview_and_the_agent_hears_why(
    page: Page, team: Scene
) -> None:
    asked = await ask(team, version="<b>2</b>")
    await page.goto("/")
    card = page.locator(f"#call{asked['call']}")
    await expect(card.locator(".params")).to_contain_text("<b>2</b>")
    await card.get_by_placeholder("Reason").fill("not on a Friday")
    await card.get_by_role("button", name="Deny").click()
    await expect(page.locator(".toast").last).to_contain_text("Denied")
    await expect(card).to_have_count(0)
    assert page.url.rstrip("/").endswith(str(httpx2.URL(page.url).port))  # it is still the overview
    answer = await team.agents["ada"].until("tool_result")
    assert answer["code"] == "denied"
    assert "not on a Friday" in answer["error"]


async def test_a_task_shows_the_call_that_it_waits_for(page: Page, team: Scene) -> None:
    task = await team.give("Ship it", requiredCapabilities=["python"])
    held = await team.held("ada")
    await team.update("ada", held, "IN_PROGRESS")
    request = {"requestId": "of-the-task", "tool": "ship", "action": "deploy", "waits": True}
    wish = {**request, "params": {"version": "3"}, "taskId": task["id"]}
    call_id = (await team.agents["ada"].call("tool_request", wish))["callId"]
    await page.goto("/")
    await expect(page.locator(f"#call{call_id} p").first).to_contain_text("for Ship it")
    await expect(page.locator(f"#q{task['id']}")).to_have_count(0)  # it is not asked for twice
    await page.goto(f"/ui/tasks/{task['id']}")
    await expect(page.locator("div.facts .pill")).to_have_text("Needs a person")
    await page.get_by_role("button", name="Deny").click()
    await expect(page.locator("div.facts .pill")).to_have_text("Running")
    await expect(page.locator(f"#c{call_id} .pill")).to_have_text("Denied")
    await team.update("ada", held, "DONE")


async def test_rules_are_added_and_removed(page: Page, nexus: LiveNexus) -> None:
    await page.goto("/ui/tools")
    await page.get_by_text("Add a rule").click()
    await page.get_by_label("Tools, as").fill("github.*, slack.post")
    await page.get_by_label("Verdict").select_option(label="Deny")
    await page.get_by_label("Name", exact=True).fill("hands off")
    await page.get_by_role("button", name="Add rule").click()
    row = page.locator("tr", has_text="hands off")
    await expect(row).to_contain_text("github.*")
    rules = (await nexus.admin.get("/observer/tools/rules"))["items"]
    assert rules[-1]["rule"]["tools"] == ["github.*", "slack.post"]
    assert rules[-1]["rule"]["effect"] == "deny"
    await row.get_by_text("Remove", exact=True).click()
    await row.get_by_role("button", name="Remove it").click()
    await expect(row).to_have_count(0)
    entries = (await nexus.admin.get("/observer/audit", limit=2))["items"]
    assert [entry["action"] for entry in entries] == ["remove_tool_rule", "create_tool_rule"]


async def test_what_has_changed_meanwhile_is_not_approved(nexus: LiveNexus, team: Scene) -> None:
    asked = await ask(team, version="4")
    address = f"/ui/approvals/{asked['call']}/approve"
    async with visitor(nexus, "admin") as admin:
        other = await admin.post(address, data={"params_hash": "0" * 64})
        assert other.status_code == 409
        assert "not the call that you saw" in problem_of(other)
        denied = await admin.post(address.replace("approve", "deny"), data={"reason": "no"})
        assert denied.status_code == 303
        again = await admin.post(address)
        assert again.status_code == 409
        assert "Admin has denied the call already" in problem_of(again)


async def test_viewers_see_that_a_call_waits_but_neither_what_it_says_nor_a_way_to_decide(
    nexus: LiveNexus, team: Scene, viewer_id: str
) -> None:
    asked = await ask(team, version="not for viewers")
    async with visitor(nexus, viewer_id) as viewer:
        for path in ("/", "/ui/tools"):
            page = await viewer.get(path)
            assert asked["call"] in page.text
            assert "not for viewers" not in page.text
            assert "Approve</button>" not in page.text
        for act in ("approve", "deny"):
            answer = await viewer.post(f"/ui/approvals/{asked['call']}/{act}")
            assert answer.status_code == 403
        assert (await viewer.post("/ui/tools/rules", data={"tools": "*"})).status_code == 403


async def test_nothing_hides_from_whoever_approves() -> None:
    assert to_the_letter({"to": "a\u202eb\u200b\U000e0041"}) == (
        '{\n  "to": "a\\u202eb\\u200b\\udb40\\udc41"\n}'
    )
    assert to_the_letter({"to": "ünïcode 漢字 👍"}) == '{\n  "to": "ünïcode 漢字 👍"\n}'
