"""Slack promises no order: what is deleted or edited may be told before what was said."""

from slack_stage import CHANNEL, Stage


async def test_what_was_deleted_before_it_was_heard_of_is_not_heard(on_stage: Stage) -> None:
    slack, anna = on_stage.slack, on_stage.anna
    task = await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        slack.hold()
        await anna.delete(await anna.say(CHANNEL, "My password is hunter2", thread=card))
        await slack.release(reverse=True)
        await anna.say(CHANNEL, "Use the new API", thread=card)
        heard = await coder.until("context_update")
        assert heard["content"] == "Use the new API"
    thread = await on_stage.nexus.admin.get(f"/tasks/{task['id']}/slack-thread")
    assert [one["text"] for one in thread["messages"]] == ["Use the new API"]


async def test_a_mention_that_was_deleted_before_it_was_heard_of_makes_no_task(
    on_stage: Stage,
) -> None:
    slack, anna = on_stage.slack, on_stage.anna
    slack.hold()
    await anna.delete(await anna.say(CHANNEL, f"{slack.mention} Drop the database"))
    await slack.release(reverse=True)
    asked = await anna.say(CHANNEL, f"{slack.mention} Mend the login")
    await on_stage.reply(asked, "Mend the login")
    tasks = await on_stage.nexus.admin.get("/observer/tasks")
    assert [task["title"] for task in tasks["items"]] == ["Mend the login"]


async def test_an_edit_that_comes_first_is_what_was_said_and_said_once(on_stage: Stage) -> None:
    slack, anna = on_stage.slack, on_stage.anna
    task = await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        slack.hold()
        await anna.edit(await anna.say(CHANNEL, "On staging", thread=card), "On production")
        await slack.release(reverse=True)
        await anna.say(CHANNEL, "Thanks", thread=card)
        await coder.until("context_update", count=2)
    thread = await on_stage.nexus.admin.get(f"/tasks/{task['id']}/slack-thread")
    assert [one["text"] for one in thread["messages"]] == ["On production", "Thanks"]


async def test_a_mention_that_was_edited_first_is_one_task_with_the_new_words(
    on_stage: Stage,
) -> None:
    slack, anna = on_stage.slack, on_stage.anna
    slack.hold()
    asked = await anna.say(CHANNEL, f"{slack.mention} Release 2.0")
    await anna.edit(asked, f"{slack.mention} Release 2.1")
    await slack.release(reverse=True)
    await on_stage.reply(asked, "Release 2.1")
    await slack.settled()
    tasks = await on_stage.nexus.admin.get("/observer/tasks")
    assert [task["title"] for task in tasks["items"]] == ["Release 2.1"]
