"""A day with the Observer in a real browser, told in order: come in, let in, give, answer, stop."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from browser import Complaints, opened, person
from live_nexus import ADMIN_SECRET, AGENT_SECRET, Admin, LiveNexus, live_nexus
from observer_scene import CORPUS
from socket_agent import SocketAgent, socket_agent, token_for

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),  # many acts one after the other, on machines that others use, too
]

DEPLOY = {
    "tool": "ship",
    "action": "deploy",
    "description": "Puts a version where people use it",
    "inputSchema": {"type": "object", "properties": {"version": {"type": "string"}}},
}


@dataclass(kw_only=True)
class Story:
    """A Nexus that may be away for a while, the admin's page, and the agents that have come."""

    folder: Path
    port: int
    page: Page
    complaints: Complaints
    coming: AsyncExitStack
    serving: AsyncExitStack
    nexus: LiveNexus

    @property
    def admin(self) -> Admin:
        """The admin without a browser."""
        return self.nexus.admin

    async def comes(self, client_id: str, **announcement: Any) -> SocketAgent:
        """Have an agent connect, until the story ends."""
        token = await token_for(self.nexus.url, client_id, AGENT_SECRET)
        agent = await self.coming.enter_async_context(socket_agent(self.nexus.url, token))
        await agent.ready(capabilities=["python"], **announcement)
        return agent

    async def stands(self, word: str) -> None:
        """See how the task stands whose page is open."""
        await expect(self.page.locator("div.facts .pill")).to_have_text(word)

    async def is_live(self, word: str) -> None:
        """See whether the page says that it is."""
        await expect(self.page.locator("#live")).to_have_attribute("data-state", word)

    async def stop(self) -> None:
        """Have the server go away."""
        await self.serving.aclose()

    async def start(self) -> None:
        """Have the server again, at the same address."""
        again = live_nexus(self.folder, port=self.port)
        self.nexus = await self.serving.enter_async_context(again)


@pytest_asyncio.fixture(loop_scope="module")
async def story(tmp_path: Path, browser: Browser, unused_tcp_port: int) -> AsyncIterator[Story]:
    """An empty Nexus with a team, at whose door an admin stands."""
    folder, port = tmp_path / "data", unused_tcp_port
    async with AsyncExitStack() as serving, AsyncExitStack() as coming:
        nexus = await serving.enter_async_context(live_nexus(folder, port=port))
        await nexus.admin.team()
        async with person(browser, nexus.url) as (page, complaints):
            yield Story(
                folder=folder,
                port=port,
                page=page,
                complaints=complaints,
                coming=coming,
                serving=serving,
                nexus=nexus,
            )


async def test_a_lead_sees_everything_live_and_steers(story: Story, browser: Browser) -> None:
    await _sign_in(story)
    ada = await _approve_an_agent(story)
    await _give_a_task_and_watch_it(story, ada)
    await _answer_where_it_is_asked(story, ada)
    await _approve_a_call(story, ada)
    await _stop_an_agent(story)
    await _look_as_a_viewer(story, browser)
    assert story.complaints == []
    await _be_away_and_back(story)
    await _read_what_was_meant_to_harm(story)
    assert story.complaints == []


async def _sign_in(story: Story) -> None:
    page = story.page
    await page.goto("/ui/agents?text=x")
    await page.get_by_label("Client id").fill("admin")
    await page.get_by_label("Client secret").fill("wrong")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_have_text("Unknown client or wrong secret")
    story.complaints.clear()  # the browser notes the 401 itself
    await page.get_by_label("Client secret").fill(ADMIN_SECRET)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_placeholder("Search in names")).to_have_value("x")


async def _approve_an_agent(story: Story) -> SocketAgent:
    page = story.page
    await opened(page, "/")
    token = await story.admin.post("/observer/registration-tokens", groupId="team")
    wish = {"name": "Ada", "clientId": "ada", "clientSecret": AGENT_SECRET}
    made = await story.admin.post("/auth/register", registrationToken=token["token"], **wish)
    ask = page.locator(f"#a{made['agentId']}")
    await expect(ask).to_contain_text("asks to join Team")
    await ask.get_by_role("button", name="Approve").click()
    await expect(ask).to_have_count(0)
    online = page.locator(".tile", has_text="Online")
    await expect(online).to_contain_text("0")
    ada = await story.comes("ada")
    await expect(online).to_contain_text("1")
    return ada


async def _give_a_task_and_watch_it(story: Story, ada: SocketAgent) -> None:
    page = story.page
    await page.get_by_role("link", name="New task").click()
    await page.get_by_label("Title").fill("Review pool.py")
    await page.get_by_label("What is to be done").fill("Look for leaks.")
    await page.get_by_role("button", name="Create task").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Review pool.py")
    await story.stands("Claimed")
    task = await ada.until("task_assigned")
    seqs = [message["seq"] for message in ada.named("task_assigned")]
    await ada.call("event_ack", {"seqs": seqs})
    await _update(ada, task, "IN_PROGRESS")
    await story.stands("Running")
    await _say(ada, task, "I found three.")
    await expect(page.locator(".thread")).to_contain_text("I found three.")
    await _update(ada, task, "DONE", result="Three leaks, all closed.")
    await story.stands("Done")
    await expect(page.locator(".result")).to_have_text("Three leaks, all closed.")
    await expect(page.locator(".timeline rect.s-IN_PROGRESS")).to_have_count(1)
    await expect(page.locator(".feed.small")).to_contain_text("was sent it")
    await expect(page.locator(".feed.small")).to_contain_text("has received it")


async def _answer_where_it_is_asked(story: Story, ada: SocketAgent) -> None:
    """Answer one question on the overview, where it is seen first, and one in the thread."""
    page = story.page
    await opened(page, "/")
    task = await story.admin.task("Choose a date")
    held = await ada.until("task_assigned", count=2)
    await _update(ada, held, "IN_PROGRESS")
    await _say(ada, held, "The 24th or the 25th?", kind="question")
    await _update(ada, held, "BLOCKED_ON_HUMAN")
    ask = page.locator(f"#q{task['id']}")
    await expect(ask).to_contain_text("The 24th or the 25th?")
    await ask.get_by_placeholder("Answer").fill("The 25th.")
    await ask.get_by_role("button", name="Answer").click()
    heard = await ada.until("context_update")
    assert (heard["content"], heard["isHuman"]) == ("The 25th.", True)
    await story.stands("Running")
    await _say(ada, held, "At noon?", kind="question")
    await _update(ada, held, "BLOCKED_ON_HUMAN")
    await story.stands("Needs a person")
    await page.get_by_label("Answer").fill("At one.")
    await page.get_by_role("button", name="Answer").click()
    assert (await ada.until("context_update", count=2))["content"] == "At one."
    await story.stands("Running")
    await _update(ada, held, "DONE")
    await story.stands("Done")


async def _approve_a_call(story: Story, ada: SocketAgent) -> None:
    page = story.page
    await story.admin.agent("grace")
    grace = await story.comes("grace", acceptsTasks=False, tools=[DEPLOY])
    rule = {"tools": ["ship.*"], "requiresApproval": True, "name": "with care"}
    await story.admin.post("/observer/tools/rules", **rule)
    await opened(page, "/ui/tools")
    await expect(page.get_by_text("No call waits for a decision.")).to_be_visible()
    wish = {"requestId": "r1", "tool": "ship", "action": "deploy", "waits": True}
    asked = await ada.call("tool_request", {**wish, "params": {"version": "1.4.2"}})
    card = page.locator(f"#call{asked['callId']}")
    await expect(card.locator(".params")).to_have_text('{\n  "version": "1.4.2"\n}')
    await card.get_by_placeholder("Reason").fill("looks right")
    await card.get_by_role("button", name="Approve").click()
    wanted = await grace.until("tool_call")
    assert wanted["params"] == {"version": "1.4.2"}
    said = {"callId": wanted["callId"], "success": True, "result": "shipped"}
    assert "error" not in await grace.call("tool_answer", said)
    assert (await ada.until("tool_result"))["success"]
    row = page.locator(f"#c{asked['callId']}")
    await expect(row.locator(".pill")).to_have_text("Done")
    await expect(card).to_have_count(0)
    await row.locator("summary").click()
    await expect(row).to_contain_text("by admin: looks right")


async def _stop_an_agent(story: Story) -> None:
    page = story.page
    await opened(page, "/ui/agents/grace")
    await page.get_by_text("Ban", exact=True).click()
    await page.get_by_label("Reason").fill("It went wild.")
    await page.get_by_role("button", name="Ban it").click()
    await expect(page.locator("div.facts")).to_contain_text("Banned")
    await expect(page.locator(".feed")).to_contain_text("It went wild.")
    assert not await _gets_a_token(story, "grace")
    await page.get_by_role("button", name="Let in again").click()
    await expect(page.locator("div.facts")).to_contain_text("Offline")
    assert await _gets_a_token(story, "grace")


async def _gets_a_token(story: Story, client_id: str) -> bool:
    form = {"grant_type": "client_credentials", "client_id": client_id}
    answer = await story.admin.http.post(
        "/auth/token", data={**form, "client_secret": AGENT_SECRET}
    )
    return answer.is_success


async def _look_as_a_viewer(story: Story, browser: Browser) -> None:
    """Follow every link to a page, as somebody who finds nothing there to press."""
    made = await story.admin.post("/observer/clients", clientId="viewer")
    async with person(browser, story.nexus.url) as (page, complaints):
        await page.goto("/")
        await page.get_by_label("Client id").fill("viewer")
        await page.get_by_label("Client secret").fill(made["clientSecret"])
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        links = await page.locator("nav a").evaluate_all("all => all.map((one) => one.pathname)")
        assert "/ui/tasks" in links
        assert "/ui/audit" not in links
        tasks = await story.admin.get("/observer/tasks")
        task, agent = tasks["items"][0]["id"], "/ui/agents/ada"
        for path in (*links, agent, f"/ui/tasks/{task}", "/ui/groups/team", "/ui/projects/team"):
            await opened(page, path)
            pressed = await page.locator("main button").all_text_contents()
            assert [words for words in pressed if words != "Filter"] == [], path
            await expect(page.get_by_role("link", name="New task")).to_have_count(0)
        assert complaints == []


async def _be_away_and_back(story: Story) -> None:
    """Reload, then lose the server and have it again; what one was about to say is there still."""
    page = story.page
    waits = await story.admin.task("Wait for it", requiredCapabilities=["nobody-has-it"])
    await opened(page, f"/ui/tasks/{waits['id']}")
    draft = page.get_by_label("Write into the thread")
    await draft.fill("Half a sent")
    await page.reload()
    await expect(draft).to_have_value("Half a sent")
    await story.is_live("on")
    await story.stop()
    await story.is_live("lost")
    await story.start()
    await story.admin.say(waits["id"], "Said while you were away.")
    await story.is_live("on")
    await expect(page.locator(".thread")).to_contain_text("Said while you were away.")
    await expect(draft).to_have_value("Half a sent")
    await draft.press("Control+Enter")
    await expect(page.locator(".thread")).to_contain_text("Half a sent")
    noted = [said for said in story.complaints if "net::ERR_" not in said]
    assert noted == []  # but that the server was away, which the browser notes itself
    story.complaints.clear()


async def _read_what_was_meant_to_harm(story: Story) -> None:
    page = story.page
    for said in CORPUS:
        task = await story.admin.task(
            said,
            description=said,
            metadata={said: said},
            requiredCapabilities=["nobody-has-it"],
        )
        await story.admin.say(task["id"], said, author=said)
        ended = {"status": "FAILED", "error": said}
        await story.admin.http.patch(f"/tasks/{task['id']}/status", json=ended)
        await opened(page, f"/ui/tasks/{task['id']}")
        await expect(page.get_by_role("heading", level=1)).to_have_text(said)
        await expect(page.locator(".thread")).to_contain_text(said)
        await expect(page.locator(".banner")).to_contain_text(said)
        await expect(page.locator("dl.facts")).to_contain_text(said.replace('"', '\\"'))
    for path in ("/", "/ui/board", "/ui/tasks"):
        await opened(page, path)
        for said in CORPUS:
            await expect(page.locator("main")).to_contain_text(said)
        assert await page.locator("main script, main img").count() == 0
    for said in CORPUS:
        await page.get_by_placeholder("Search in titles").fill(said)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("link", name=said, exact=True).first).to_be_visible()
        await expect(page.get_by_placeholder("Search in titles")).to_have_value(said)


async def _update(agent: SocketAgent, task: dict[str, Any], status: str, **more: Any) -> None:
    said = {"taskId": task["taskId"], "attempt": task["attempt"], "status": status, **more}
    answer = await agent.call("task_update", said)
    assert "error" not in answer, answer


async def _say(agent: SocketAgent, task: dict[str, Any], text: str, kind: str = "message") -> None:
    message = {"taskId": task["taskId"], "text": text, "kind": kind, "clientMessageId": text}
    answer = await agent.call("post_message", message)
    assert "error" not in answer, answer
