"""Who speaks in Slack, and where: bots, strangers, direct messages, channels that are not ours."""

from nexus.testing.slack import Hangs
from slack_stage import CHANNEL, Stage


async def test_another_bot_is_heard_but_is_no_person_and_makes_no_tasks(on_stage: Stage) -> None:
    await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    bot = on_stage.slack.bot("deploybot")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        await bot.say(CHANNEL, "Build 12 is red", thread=card)
        heard = await coder.until("context_update")
        assert (heard["content"], heard["isHuman"]) == ("Build 12 is red", False)
    await bot.say(CHANNEL, f"{on_stage.slack.mention} do something")
    await on_stage.slack.settled()
    tasks = await on_stage.nexus.admin.get("/observer/tasks")
    assert [task["title"] for task in tasks["items"]] == ["Mend the login"]


async def test_a_bot_that_mentions_an_agent_wakes_nobody(on_stage: Stage) -> None:
    await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    bot = on_stage.slack.bot("deploybot")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        await bot.say(CHANNEL, "@coder build 12 is red", thread=card)
        await on_stage.anna.say(CHANNEL, "Have a look", thread=card)
        await coder.until("context_update", count=2)
        assert coder.named("wake_up") == []


async def test_a_direct_message_is_answered_with_where_to_ask(on_stage: Stage) -> None:
    await on_stage.anna.tell_app("Please mend the login")
    talk = on_stage.slack.direct_messages(on_stage.anna)
    await on_stage.slack.until(
        lambda: [one for one in talk.posted.values() if "channels of projects" in one.shown]
    )


async def test_a_mention_in_a_channel_of_nobodys_is_answered_with_where_to_ask(
    on_stage: Stage,
) -> None:
    lobby = on_stage.slack.open_channel("lobby", on_stage.anna)
    await on_stage.anna.invite_app(lobby)
    await on_stage.anna.say(lobby, "Good morning")
    asked = await on_stage.anna.say(lobby, f"{on_stage.slack.mention} mend the login")
    await on_stage.slack.until(lambda: len(lobby.thread(asked)) == 1)
    assert "channels of projects" in lobby.thread(asked)[0].shown
    tasks = await on_stage.nexus.admin.get("/observer/tasks")
    assert tasks["items"] == []


async def test_a_mention_in_the_groups_channel_goes_to_its_only_project(on_stage: Stage) -> None:
    slack = on_stage.slack
    await slack.until(lambda: slack.channel("oblivion-group-team"))
    await on_stage.anna.say("oblivion-group-team", f"{slack.mention} Write the notes")
    async with on_stage.agent() as coder:
        assigned = await coder.until("task_assigned")
    assert (assigned["title"], assigned["projectName"]) == ("Write the notes", "Team")


async def test_agents_of_the_group_hear_what_is_said_in_their_channel(on_stage: Stage) -> None:
    async with on_stage.agent() as coder:
        said = await on_stage.anna.say(CHANNEL, "Good morning")
        heard = await coder.until("slack_message")
        assert heard["text"] == "Good morning"
        assert (heard["user"], heard["messageTs"]) == ("anna", said.ts)
        assert heard["projectName"] == "Team"
        assert "taskId" not in heard or heard["taskId"] is None


async def test_channels_that_are_shared_with_others_are_not_heard(on_stage: Stage) -> None:
    slack = on_stage.slack
    partner = slack.team("partner")
    channel = slack.open_channel("with-partner", on_stage.anna, shared_with=partner)
    await on_stage.anna.invite_app(channel)
    await on_stage.nexus.admin.post(
        "/observer/slack/channels", ownerId="team", channel="with-partner"
    )
    await on_stage.anna.say(channel, f"{slack.mention} Write the notes")
    await slack.settled()
    tasks = await on_stage.nexus.admin.get("/observer/tasks")
    assert tasks["items"] == []


async def test_a_project_takes_a_channel_that_people_made(on_stage: Stage) -> None:
    slack, admin = on_stage.slack, on_stage.nexus.admin
    slack.open_channel("backend", on_stage.anna)
    linked = await admin.post("/observer/slack/channels", ownerId="team", channel="#backend")
    assert linked["adopted"] is True
    await admin.task("Mend the login")
    await slack.until(lambda: slack.channel("backend").messages)


async def test_people_are_invited_by_their_addresses(on_stage: Stage) -> None:
    slack = on_stage.slack
    carl = slack.user("carl", email="carl@example.com")
    answer = await on_stage.nexus.admin.post(
        "/observer/slack/invite",
        ownerId="team",
        emails=["carl@example.com", "nobody@example.com"],
    )
    assert [one["invited"] for one in answer["items"]] == [True, False]
    assert answer["items"][1]["error"] == "users_not_found"
    assert carl.id in on_stage.channel.members


async def test_a_name_that_slack_does_not_tell_does_not_hold_up_what_is_said(
    on_stage: Stage,
) -> None:
    await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        on_stage.slack.fail("users.info", Hangs(), times=3)
        await on_stage.anna.say(CHANNEL, "Faster, please", thread=card)
        heard = await coder.until("context_update")
    assert heard["author"] == on_stage.anna.id
    assert heard["content"] == "Faster, please"


async def test_a_mention_of_many_who_are_away_is_answered_once(on_stage: Stage) -> None:
    for number in range(12):
        await on_stage.nexus.admin.agent(f"helper-{number}")
    await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    everybody = " ".join(f"@helper-{number}" for number in range(12))
    await on_stage.anna.say(CHANNEL, everybody, thread=card)
    await on_stage.reply(card, "and 2 more are offline")
    await on_stage.anna.say(CHANNEL, "@helper-1 again", thread=card)
    await on_stage.reply(card, "Helper 1 is offline")
    ours = [one for one in on_stage.channel.thread(card) if one.bot_id]
    assert len(ours) == 2


async def test_a_channel_that_others_read_along_in_is_not_taken_over_unasked(
    on_stage: Stage,
) -> None:
    slack = on_stage.slack
    shared = slack.open_channel(
        "oblivion-team_docs", on_stage.anna, shared_with=slack.team("partner")
    )
    await on_stage.nexus.admin.project("docs", group="team")
    await on_stage.nexus.admin.task("Write the notes", project="docs")
    await slack.until(lambda: slack.channel("oblivion-team_docs-2").messages)
    assert shared.messages == []
