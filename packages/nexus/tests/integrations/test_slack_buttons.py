"""Buttons in Slack do what they say, for whom they may, and the message shows who pressed."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from nexus.testing.slack import Hangs, Message
from oblivion import OblivionClient
from slack_stage import Stage, in_no_hurry, stage
from socket_agent import SocketAgent


async def _labels(on_stage: Stage, card: Message, *labels: str) -> None:
    def there() -> bool:
        return [b.label for b in on_stage.channel.message(card).buttons] == [*labels]

    await on_stage.slack.until(there)


async def test_cancel_and_retry_move_the_task_and_name_who_did_it(on_stage: Stage) -> None:
    task = await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    await on_stage.anna.click(card, "Cancel")
    await on_stage.nexus.admin.until(task["id"], "CANCELLED")
    await on_stage.reply(card, "Cancelled by anna")
    await _labels(on_stage, card, "Retry")
    await on_stage.anna.click(on_stage.channel.message(card), "Retry")
    await on_stage.nexus.admin.until(task["id"], "TODO")
    await on_stage.reply(card, "Retried by anna")
    entries = await on_stage.nexus.admin.get("/observer/audit", actor=f"slack:{on_stage.anna.id}")
    assert [entry["action"] for entry in entries["items"]] == ["slack_retry", "slack_cancel"]


async def test_a_question_is_answered_by_a_button_once(on_stage: Stage) -> None:
    task = await on_stage.nexus.admin.task("Release 2.1")
    card = await on_stage.card_of("Release 2.1")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        blocked = {"taskId": task["id"], "attempt": 1, "status": "BLOCKED_ON_HUMAN"}
        await coder.call("task_update", blocked)
        question = {"text": "Deploy now?", "kind": "question", "choices": ["Yes", "Tomorrow"]}
        await coder.call("post_message", {"taskId": task["id"], **question})
        asked = await on_stage.reply(card, "Deploy now?")
        await on_stage.anna.click(asked, "Tomorrow")
        heard = await coder.until("context_update")
        assert (heard["content"], heard["author"]) == ("Tomorrow", "anna")
        await on_stage.nexus.admin.until(task["id"], "IN_PROGRESS")
        await on_stage.slack.until(lambda: not on_stage.channel.message(asked).buttons)
        assert "anna" in on_stage.channel.message(asked).shown
    thread = await on_stage.nexus.admin.get(f"/tasks/{task['id']}/slack-thread")
    assert [one["text"] for one in thread["messages"]] == ["Deploy now?", "Tomorrow"]
    assert "Tomorrow" not in [message.text for message in on_stage.channel.thread(card)]


@pytest.mark.usefixtures("impatient_at_the_end")
async def test_of_two_who_answer_the_second_is_told(on_stage: Stage) -> None:
    task = await on_stage.nexus.admin.task("Release 2.1")
    card = await on_stage.card_of("Release 2.1")
    ben = on_stage.slack.user("ben")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        question = {"text": "Deploy now?", "kind": "question", "choices": ["Yes", "Tomorrow"]}
        await coder.call("post_message", {"taskId": task["id"], **question})
        asked = await on_stage.reply(card, "Deploy now?")
        on_stage.slack.fail("chat.update", Hangs(), times=2)
        await on_stage.anna.click(asked, "Tomorrow")
        await coder.until("context_update")
        await ben.click(asked, "Yes")
        whisper = await on_stage.slack.until(lambda: on_stage.channel.whispers)
        assert "answered this question already" in whisper[0].text
        assert len(coder.named("context_update")) == 1


async def test_a_guest_may_press_nothing_and_is_told_alone(on_stage: Stage) -> None:
    task = await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    guest = on_stage.slack.user("gast", is_guest=True)
    await guest.click(card, "Cancel")
    await on_stage.slack.until(lambda: on_stage.channel.whispers)
    assert on_stage.channel.whispers[0].user_id == guest.id
    assert (await on_stage.nexus.admin.get(f"/tasks/{task['id']}"))["status"] == "TODO"


async def test_operators_are_the_only_ones_where_some_are_named(tmp_path: Path) -> None:
    with in_no_hurry():
        async with stage(tmp_path / "data", slack_operators="boss@example.com") as opened:
            boss = opened.slack.user("boss", email="Boss@example.com")
            task = await opened.nexus.admin.task("Mend the login")
            card = await opened.card_of("Mend the login")
            await opened.anna.click(card, "Cancel")
            await opened.slack.until(lambda: opened.channel.whispers)
            await boss.click(card, "Cancel")
            await opened.nexus.admin.until(task["id"], "CANCELLED")


@pytest.mark.usefixtures("impatient_at_the_end")
async def test_a_press_that_comes_too_late_says_why(on_stage: Stage) -> None:
    task = await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    on_stage.slack.fail("chat.update", Hangs())
    await on_stage.nexus.admin.post(f"/observer/tasks/{task['id']}/cancel")
    await on_stage.anna.click(card, "Cancel")
    whisper = await on_stage.slack.until(lambda: on_stage.channel.whispers)
    assert "CANCELLED" in whisper[0].text


async def test_an_agent_that_repeats_itself_is_paused_until_somebody_lets_it_go_on(
    on_stage: Stage,
) -> None:
    task = await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        for text in ("I try again.", "I try again.", "And again."):
            await coder.call("post_message", {"taskId": task["id"], "text": text})
        alert = await on_stage.reply(card, "paused")
        status = await on_stage.nexus.admin.get("/observer/slack")
        assert [one["name"] for one in status["paused"]] == ["Coder"]
        await on_stage.anna.click(alert, "Show it again")
        await on_stage.slack.until(lambda: not on_stage.channel.message(alert).buttons)
        await coder.call("post_message", {"taskId": task["id"], "text": "Now I have it."})
        await on_stage.reply(card, "Now I have it.")
    said = [message.shown for message in on_stage.channel.thread(card)]
    assert said.count("I try again.") == 1
    assert "And again." not in said
    assert (await on_stage.nexus.admin.get("/observer/slack"))["paused"] == []


async def test_the_same_words_in_two_threads_and_a_question_asked_anew_are_no_loop(
    on_stage: Stage,
) -> None:
    asked = {"text": "What has changed?", "kind": "question"}
    async with on_stage.agent(maxConcurrency=2) as coder:
        task = await on_stage.nexus.admin.task("Release 2.1")
        await coder.call("post_message", {"taskId": task["id"], **asked})
        card = await on_stage.card_of("Release 2.1")
        await on_stage.reply(card, "What has changed?")
        task = await on_stage.nexus.admin.task("Release 2.2")
        await coder.call("post_message", {"taskId": task["id"], **asked})
        card = await on_stage.card_of("Release 2.2")
        await on_stage.reply(card, "What has changed?")
        await on_stage.anna.say(on_stage.channel, "Why?", thread=card)
        await coder.until("context_update")
        await coder.call("post_message", {"taskId": task["id"], **asked})
        await coder.call("post_message", {"taskId": task["id"], "text": "I wait."})
        await on_stage.reply(card, "I wait.")
    said = [message.shown for message in on_stage.channel.thread(card)]
    assert said.count("What has changed?") == 2
    assert (await on_stage.nexus.admin.get("/observer/slack"))["paused"] == []


async def test_an_agent_that_says_too_much_is_held_back_with_one_notice(on_stage: Stage) -> None:
    task = await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        for number in range(14):
            await coder.call("post_message", {"taskId": task["id"], "text": f"Step {number}"})
        asking = {"text": "Which one?", "kind": "question"}
        await coder.call("post_message", {"taskId": task["id"], **asking})
        await on_stage.reply(card, "Which one?")
    said = [message.shown for message in on_stage.channel.thread(card)]
    assert [text for text in said if text.startswith("Step")] == [f"Step {n}" for n in range(10)]
    assert len([text for text in said if "says more than is shown here" in text]) == 1
    thread = await on_stage.nexus.admin.get(f"/tasks/{task['id']}/slack-thread")
    assert len(thread["messages"]) == 15


async def _asks_to_deploy(on_stage: Stage, coder: SocketAgent, task: Any) -> Message:
    """Return the message that asks people about a tool call of the agent's."""
    rule = {"tools": ["deploy.*"], "requiresApproval": True}
    await on_stage.nexus.admin.post("/observer/tools/rules", **rule)
    wish = {"tool": "deploy", "action": "now", "params": {"version": "2.1"}}
    await coder.call("tool_request", {"requestId": "r1", "taskId": task["id"], **wish})
    card = await on_stage.card_of(task["title"])
    return await on_stage.reply(card, "asks to use")


@contextlib.asynccontextmanager
async def _deployer(on_stage: Stage, deployed: list[str]) -> AsyncIterator[None]:
    """Have another agent of the team offer the tool ``deploy``."""
    await on_stage.nexus.admin.agent("deployer")
    offering = OblivionClient(**on_stage.nexus.agent_settings("deployer"), capabilities=["ops"])

    @offering.tool("deploy", action="now")
    async def now(version: str) -> str:
        """Deploy a version."""
        deployed.append(version)
        return "deployed"

    async with offering:
        yield


@pytest.mark.parametrize("label", ["Approve", "Deny"])
async def test_a_tool_call_is_decided_by_a_button_and_the_message_shows_by_whom(
    on_stage: Stage, label: str
) -> None:
    deployed: list[str] = []
    task = await on_stage.nexus.admin.task("Release 2.1", requiredCapabilities=["code"])
    async with _deployer(on_stage, deployed), on_stage.agent(capabilities=["code"]) as coder:
        await coder.until("task_assigned")
        asked = await _asks_to_deploy(on_stage, coder, task)
        await on_stage.nexus.admin.until(task["id"], "BLOCKED_ON_HUMAN")
        assert '"version": "2.1"' in asked.shown
        guest = on_stage.slack.user("gast", is_guest=True)
        await guest.click(asked, "Approve")
        await on_stage.slack.until(lambda: on_stage.channel.whispers)
        await on_stage.anna.click(asked, label)
        result = await coder.until("tool_result")
        await on_stage.slack.until(lambda: not on_stage.channel.message(asked).buttons)
        await on_stage.nexus.admin.until(task["id"], "IN_PROGRESS")
    shown = on_stage.channel.message(asked).shown
    assert ("Approved" if label == "Approve" else "Denied") in shown
    assert "anna" in shown
    assert result["success"] is (label == "Approve")
    assert deployed == (["2.1"] if label == "Approve" else [])


async def test_a_call_that_was_decided_elsewhere_shows_that_too(on_stage: Stage) -> None:
    deployed: list[str] = []
    task = await on_stage.nexus.admin.task("Release 2.1", requiredCapabilities=["code"])
    async with _deployer(on_stage, deployed), on_stage.agent(capabilities=["code"]) as coder:
        await coder.until("task_assigned")
        asked = await _asks_to_deploy(on_stage, coder, task)
        waiting = (await on_stage.nexus.admin.get("/observer/approvals"))["items"]
        path = f"/observer/approvals/{waiting[0]['id']}/deny"
        await on_stage.nexus.admin.post(path, reason="Not on a Friday")
        await on_stage.slack.until(
            lambda: "Not on a Friday" in on_stage.channel.message(asked).shown
        )
    assert deployed == []
