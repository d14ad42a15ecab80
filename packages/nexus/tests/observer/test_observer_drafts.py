"""What a person has begun to write is theirs: nothing that happens meanwhile takes it away."""

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from browser import opened, person
from live_nexus import ADMIN_SECRET, LiveNexus
from observer_scene import Scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY: dict[str, Any] = {"requiredCapabilities": ["nobody-has-it"]}


async def test_a_message_that_has_no_focus_outlives_a_thread_that_begins(
    page: Page, nexus: LiveNexus
) -> None:
    task = await nexus.admin.task("Empty thread", **NOBODY)
    await opened(page, f"/ui/tasks/{task['id']}")
    say = page.get_by_label("Write into the thread")
    await say.fill("Half a sent")
    await say.blur()
    for number in range(3):
        await nexus.admin.say(task["id"], f"Said {number}")
        await expect(page.locator(".thread")).to_contain_text(f"Said {number}")
        await expect(say).to_have_value("Half a sent")
    await say.focus()
    await page.keyboard.press("End")
    await page.keyboard.type("ence")
    await say.press("Control+Enter")
    await expect(page.locator(".thread")).to_contain_text("Half a sentence")
    await expect(say).to_have_value("")


async def test_a_message_outlives_the_life_of_its_task(page: Page, team: Scene) -> None:
    task = await team.give("Goes through everything")
    holder = "ada" if await held_by(team, "ada", task["id"]) else "grace"
    await opened(page, f"/ui/tasks/{task['id']}")
    say = page.locator("textarea[name=text]")
    await say.fill("Wait, I have")
    await page.get_by_label("Priority").select_option(label="Urgent")
    await page.get_by_role("heading", level=1).click()
    held = {"taskId": task["id"], "attempt": 1}
    stands = page.locator("div.facts .pill")
    for status, word in (
        ("IN_PROGRESS", "Running"),
        ("BLOCKED_ON_HUMAN", "Needs a person"),
        ("IN_PROGRESS", "Running"),
    ):
        await team.update(holder, held, status)
        await expect(stands).to_have_text(word)
        await expect(say).to_have_value("Wait, I have")
        await expect(page.get_by_label("Priority")).to_have_value("1")
    await team.update(holder, held, "DONE")
    await expect(stands).to_have_text("Done")
    await expect(say).to_have_value("Wait, I have")


async def held_by(team: Scene, client_id: str, task_id: str) -> bool:
    from eventually import eventually

    async def given() -> bool:
        return any(
            found["payload"]["taskId"] == task_id
            for agent in team.agents.values()
            for found in agent.named("task_assigned")
        )

    await eventually(given, what="the task is given to an agent")
    mine = team.agents[client_id].named("task_assigned")
    return any(found["payload"]["taskId"] == task_id for found in mine)


async def test_the_caret_and_what_is_selected_stay_where_they_are(
    page: Page, nexus: LiveNexus
) -> None:
    task = await nexus.admin.task("Caret", **NOBODY)
    await opened(page, f"/ui/tasks/{task['id']}")
    say = page.get_by_label("Write into the thread")
    await say.fill("one two three")
    await say.evaluate("field => field.setSelectionRange(4, 7)")
    await nexus.admin.say(task["id"], "Something else")
    await expect(page.locator(".thread")).to_contain_text("Something else")
    await expect(say).to_be_focused()
    await page.keyboard.type("2")
    await expect(say).to_have_value("one 2 three")


async def test_a_page_that_was_clicked_on_goes_on_living(page: Page, nexus: LiveNexus) -> None:
    task = await nexus.admin.task("Clicked on", **NOBODY)
    await opened(page, f"/ui/tasks/{task['id']}")
    await page.get_by_role("heading", level=1).click()
    await nexus.admin.say(task["id"], "Heard?")
    await expect(page.locator(".thread")).to_contain_text("Heard?")


async def test_what_is_open_and_written_there_stays_open(page: Page, nexus: LiveNexus) -> None:
    task = await nexus.admin.task("To be cancelled, perhaps", **NOBODY)
    await opened(page, f"/ui/tasks/{task['id']}")
    await page.get_by_text("Cancel task").click()
    reason = page.get_by_label("Reason")
    await reason.fill("because")
    await reason.blur()
    await nexus.admin.say(task["id"], "Do not.")
    await expect(page.locator(".thread")).to_contain_text("Do not.")
    await expect(page.get_by_role("button", name="Cancel it")).to_be_visible()
    await expect(reason).to_have_value("because")


async def test_a_draft_comes_back_after_the_page_was_left(page: Page, nexus: LiveNexus) -> None:
    task = await nexus.admin.task("Left and found again", **NOBODY)
    path = f"/ui/tasks/{task['id']}"
    await opened(page, path)
    say = page.get_by_label("Write into the thread")
    await say.fill("Not finished")
    await page.locator('form[action="/ui/theme"] button').click()
    await expect(say).to_have_value("Not finished")
    await page.get_by_role("link", name="Overview").first.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    await opened(page, path)
    await expect(say).to_have_value("Not finished")
    await say.press("Control+Enter")
    await expect(page.locator(".thread")).to_contain_text("Not finished")
    await opened(page, path)
    await expect(say).to_have_value("")


async def test_a_draft_outlives_the_session(page: Page, nexus: LiveNexus) -> None:
    task = await nexus.admin.task("Signed out meanwhile", **NOBODY)
    path = f"/ui/tasks/{task['id']}"
    await opened(page, path)
    say = page.get_by_label("Write into the thread")
    await say.fill("Not finished")
    await page.context.clear_cookies()
    await nexus.admin.say(task["id"], "Something new")
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    await page.goto(nexus.serving.nexus.observer.link("admin"))
    await opened(page, path)
    await expect(say).to_have_value("Not finished")


async def test_an_answer_outlives_that_somebody_else_answers(page: Page, team: Scene) -> None:
    first, second = await asks(team, "First question"), await asks(team, "Second question")
    await opened(page, "/")
    answer = page.locator(f"#q{first}").get_by_placeholder("Answer")
    await answer.fill("I think that")
    await answer.blur()
    await team.nexus.admin.say(second, "Yes.")
    await expect(page.locator(f"#q{second}")).to_have_count(0)
    await expect(answer).to_have_value("I think that")
    await team.nexus.admin.say(first, "No.")
    await expect(page.locator(".feed")).to_contain_text("No.")
    await expect(answer).to_have_value("I think that")
    await answer.fill("")
    await team.nexus.admin.say(first, "Really.")
    await expect(page.locator(f"#q{first}")).to_have_count(0)


async def asks(team: Scene, title: str) -> str:
    """Have an agent wait for a person with a task."""
    task = await team.give(title)
    holder = "ada" if await held_by(team, "ada", task["id"]) else "grace"
    held = {"taskId": task["id"], "attempt": 1}
    await team.update(holder, held, "IN_PROGRESS")
    await team.update(holder, held, "BLOCKED_ON_HUMAN")
    return str(task["id"])


async def test_a_message_that_is_sent_after_the_session_ended_is_sent_after_the_next_began(
    page: Page, nexus: LiveNexus
) -> None:
    task = await nexus.admin.task("Signed out in the middle", **NOBODY)
    await opened(page, f"/ui/tasks/{task['id']}")
    say = page.get_by_label("Write into the thread")
    await say.fill("Important")
    await page.context.clear_cookies()
    await say.press("Control+Enter")
    await page.get_by_label("Client id").fill("admin")
    await page.get_by_label("Client secret").fill(ADMIN_SECRET)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Signed out in the middle")
    await expect(say).to_have_value("Important")
    await say.press("Control+Enter")
    await expect(page.locator(".thread")).to_contain_text("Important")


async def test_a_message_that_could_not_be_sent_stays(nexus: LiveNexus, browser: Browser) -> None:
    task = await nexus.admin.task("The server is away", **NOBODY)
    link = nexus.serving.nexus.observer.link("admin")
    async with person(browser, nexus.url, link) as (page, _):  # the browser notes what it lost
        await opened(page, f"/ui/tasks/{task['id']}")
        say = page.get_by_label("Write into the thread")
        await say.fill("Important")
        await page.route("**/messages", lambda route: route.abort())
        await say.press("Control+Enter")
        await expect(page.locator(".toast.bad")).to_contain_text("does not answer")
        await nexus.admin.say(task["id"], "Meanwhile")
        await expect(page.locator(".thread")).to_contain_text("Meanwhile")
        await expect(say).to_have_value("Important")
        await page.unroute("**/messages")
        await say.press("Control+Enter")
        await expect(page.locator(".thread")).to_contain_text("Important")
