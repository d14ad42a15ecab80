"""Slack and a task's thread are one: what people say agents hear, what agents say people read."""

from functools import partial

from nexus.testing.slack import Message
from slack_stage import CHANNEL, Stage


async def test_groups_and_projects_get_their_channels(on_stage: Stage) -> None:
    slack = on_stage.slack
    await slack.until(lambda: slack.channel("oblivion-group-team"))
    assert on_stage.channel.name == CHANNEL


async def test_a_task_has_a_root_message_that_is_edited_as_it_moves(on_stage: Stage) -> None:
    task = await on_stage.nexus.admin.task("Mend the login", description="It fails with a 500.")
    card = await on_stage.card_of("Mend the login")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        await on_stage.slack.until(lambda: "Coder" in on_stage.channel.message(card).shown)
        mine = {"taskId": task["id"], "attempt": 1}
        for words in ("looking around", "running tests"):
            report = {"status": "IN_PROGRESS", "progress": 0.6, "message": words}
            await coder.call("task_update", {**mine, **report})
            await on_stage.slack.until(partial(_says, on_stage, card, f"60 %: {words}"))
        await coder.call("task_update", {**mine, "status": "DONE", "result": {}})
        await on_stage.slack.until(lambda: "Done" in on_stage.channel.message(card).shown)
    assert len(on_stage.channel.messages) == 1


def _says(on_stage: Stage, card: Message, words: str) -> bool:
    return words in on_stage.channel.message(card).shown


async def test_a_reply_reaches_the_agent_and_its_answer_the_thread(on_stage: Stage) -> None:
    task = await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        await on_stage.anna.say(CHANNEL, "Use the *new* API & be <quick>", thread=card)
        heard = await coder.until("context_update")
        assert heard["content"] == "Use the *new* API & be <quick>"
        assert heard["author"] == "anna"
        assert heard["isHuman"] is True
        assert heard["slackThreadTs"] == card.ts
        await coder.call("post_message", {"taskId": task["id"], "text": "On it."})
        answer = await on_stage.reply(card, "On it.")
    assert answer.username == "Coder"
    assert answer.icon == ":robot_face:"
    assert len(coder.named("context_update")) == 1


async def test_a_mention_in_a_thread_wakes_its_agent_and_is_seen_at_once(on_stage: Stage) -> None:
    await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        asked = await on_stage.anna.say(
            CHANNEL, f"{on_stage.slack.mention} how far are you?", thread=card
        )
        wake = await coder.until("wake_up")
        assert wake["reason"] == "mention"
        await on_stage.slack.until(lambda: on_stage.channel.message(asked).reactions)
        await on_stage.slack.settled()
        assert len(coder.named("wake_up")) == 1
        assert len(coder.named("context_update")) == 1


async def test_a_mention_in_an_ended_task_says_who_is_told_and_tells_it(on_stage: Stage) -> None:
    task = await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        done = {"taskId": task["id"], "attempt": 1, "status": "DONE", "result": {}}
        await coder.call("task_update", done)
        words = f"{on_stage.slack.mention} and the logout?"
        await on_stage.anna.say(CHANNEL, words, thread=card)
        assert (await coder.until("wake_up"))["taskId"] == task["id"]
        said = await on_stage.reply(card, "this task is done")
    assert "Coder is told" in said.shown


async def test_a_mention_of_an_agent_that_is_away_says_so(on_stage: Stage) -> None:
    await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
    await on_stage.anna.say(CHANNEL, f"{on_stage.slack.mention} are you there?", thread=card)
    await on_stage.reply(card, "offline")


async def test_a_mention_in_a_projects_channel_makes_a_task_with_that_thread(
    on_stage: Stage,
) -> None:
    asked = await on_stage.anna.say(CHANNEL, f"{on_stage.slack.mention} Write the notes\nFor 1.2")
    card = await on_stage.reply(asked, "Write the notes")
    async with on_stage.agent() as coder:
        assigned = await coder.until("task_assigned")
        assert assigned["title"] == "Write the notes"
        assert assigned["source"] == "slack"
        assert assigned["slackThreadTs"] == asked.ts
        await on_stage.anna.say(CHANNEL, "In English, please", thread=asked)
        assert (await coder.until("context_update"))["content"] == "In English, please"
        await coder.call("post_message", {"taskId": assigned["taskId"], "text": "Understood"})
        await on_stage.reply(asked, "Understood")
    assert card.bot_id is not None


async def test_edits_and_deletions_reach_the_agent_as_such(on_stage: Stage) -> None:
    await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        said = await on_stage.anna.say(CHANNEL, "On staging", thread=card)
        first = await coder.until("context_update")
        await on_stage.anna.edit(said, "On production")
        edited = await coder.until("context_update", count=2)
        assert (edited["content"], edited["edited"]) == ("On production", True)
        assert edited["messageTs"] == first["messageTs"]
        await on_stage.anna.delete(said)
        deleted = await coder.until("context_update", count=3)
        assert deleted["deleted"] is True
