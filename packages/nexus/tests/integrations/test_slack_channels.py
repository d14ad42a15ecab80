"""Channels are made, taken over and described; what people archived stays archived."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from eventually import eventually
from nexus.integrations.slack.channels import Channels
from nexus.integrations.slack.client import SlackApi
from nexus.integrations.worker import Postponed
from nexus.store.unit_of_work import UnitOfWork
from nexus.testing.slack import CutAfter, Refuses, SlackServer
from slack_stage import CHANNEL, Stage


async def _failed(on_stage: Stage, words: str) -> None:
    """Wait until people see a delivery that failed and says this."""

    async def seen() -> bool:
        failed = await on_stage.nexus.admin.get("/observer/deliveries", status="failed")
        return any(words in one["error"] for one in failed["items"])

    await eventually(seen, what=f"a delivery fails with {words!r}")


async def test_a_channel_that_people_archived_unheard_is_left_in_peace(on_stage: Stage) -> None:
    slack, admin = on_stage.slack, on_stage.nexus.admin
    slack.hold()
    await on_stage.anna.archive(CHANNEL)
    await admin.task("Mend the login")
    await _failed(on_stage, f"#{CHANNEL} is archived; open it again in Slack")
    assert [name for name in slack.channels if name.endswith("-2")] == []
    status = await admin.get("/observer/slack")
    (channel,) = [one for one in status["channels"] if one["name"] == CHANNEL]
    assert channel["archivedAt"] is not None


async def test_a_name_that_people_archived_is_kept_for_when_it_is_open_again(
    on_stage: Stage,
) -> None:
    slack, admin, anna = on_stage.slack, on_stage.nexus.admin, on_stage.anna
    old = slack.open_channel("oblivion-team_docs", anna)
    await anna.archive(old)
    await admin.project("docs", group="team")
    await _failed(on_stage, "#oblivion-team_docs is archived")
    assert "oblivion-team_docs-2" not in slack.channels
    await anna.unarchive(old)
    await slack.until(lambda: slack.app.user.id in old.members)
    await admin.task("Write the notes", project="docs")
    await slack.until(lambda: old.messages)
    asked = await anna.say(old, f"{slack.mention} Write them in English")
    await slack.until(lambda: old.thread(asked))


async def test_what_changed_while_a_channel_was_archived_is_shown_when_it_is_open_again(
    on_stage: Stage,
) -> None:
    slack, admin, anna = on_stage.slack, on_stage.nexus.admin, on_stage.anna
    await admin.project("web", group="team")
    task = await admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    channel = on_stage.channel
    await anna.archive(channel)
    await _is_archived(on_stage)
    await admin.post(f"/observer/tasks/{task['id']}/cancel")
    await admin.task("Write the notes")
    await admin.task("Something else", project="web")
    web = slack.channel("oblivion-team_web")
    await slack.until(lambda: web.messages)  # so what was before it in the feed is passed over
    assert "Cancelled" not in channel.message(card).shown
    await anna.unarchive(channel)
    await slack.until(lambda: "Cancelled" in channel.message(card).shown)
    await on_stage.card_of("Write the notes")
    assert len(channel.messages) == 2


async def test_a_task_that_an_archive_unheard_left_out_is_shown_when_it_is_open_again(
    on_stage: Stage,
) -> None:
    slack, admin, anna = on_stage.slack, on_stage.nexus.admin, on_stage.anna
    slack.hold()
    await anna.archive(CHANNEL)
    await admin.task("Mend the login")
    await _failed(on_stage, f"#{CHANNEL} is archived; open it again in Slack")
    await slack.release()
    await anna.unarchive(CHANNEL)
    await on_stage.card_of("Mend the login")


async def _is_archived(on_stage: Stage) -> None:
    async def noted() -> bool:
        channels = (await on_stage.nexus.admin.get("/observer/slack"))["channels"]
        return any(one["name"] == CHANNEL and one.get("archivedAt") for one in channels)

    await eventually(noted, what="Nexus knows of the archive")


async def test_an_archived_channel_cannot_be_linked(on_stage: Stage) -> None:
    slack, admin = on_stage.slack, on_stage.nexus.admin
    await on_stage.anna.archive(slack.open_channel("old", on_stage.anna))
    wish = {"ownerId": "team", "channel": "#old"}
    answer = await admin.http.post("/observer/slack/channels", json=wish)
    assert answer.status_code == 409
    assert "#old is archived" in answer.json()["detail"]


async def test_a_channel_that_another_had_and_lost_to_the_archive_can_be_linked(
    on_stage: Stage,
) -> None:
    slack, admin, anna = on_stage.slack, on_stage.nexus.admin, on_stage.anna
    await admin.project("web", group="team")
    await anna.archive(CHANNEL)
    await _is_archived(on_stage)
    slack.hold()
    await anna.unarchive(CHANNEL)
    linked = await admin.post("/observer/slack/channels", ownerId="web", channel=CHANNEL)
    assert linked["name"] == CHANNEL


async def test_a_channel_is_linked_by_its_id_with_one_question(on_stage: Stage) -> None:
    slack, admin = on_stage.slack, on_stage.nexus.admin
    channel = slack.open_channel("backend", on_stage.anna)
    listed = len(slack.calls("conversations.list"))
    linked = await admin.post("/observer/slack/channels", ownerId="team", channel=channel.id)
    assert linked["name"] == "backend"
    assert len(slack.calls("conversations.list")) == listed
    answer = await admin.http.post(
        "/observer/slack/channels", json={"ownerId": "team", "channel": "C0NOWHERE"}
    )
    assert answer.status_code == 404


async def test_a_channel_says_what_it_is_for(on_stage: Stage) -> None:
    slack = on_stage.slack
    await slack.until(lambda: "mention the app" in on_stage.channel.topic)
    await slack.until(lambda: "agents" in slack.channel("oblivion-group-team").topic)


class Interrupted(SlackApi):
    """A Web API that wants a pause before the second page, once."""

    asked: int = 0

    async def call(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        self.asked += 1
        if self.asked == 2:
            raise Postponed("Slack wants a pause", after_ms=1, counts=False)
        return await super().call(method, **arguments)


async def test_a_search_among_many_channels_goes_on_where_slack_wanted_a_pause() -> None:
    async with SlackServer.running() as slack:
        for number in range(1_100):
            slack.open_channel(f"channel-{number}")
        api = Interrupted(slack.app.bot_token, slack.api_url)
        channels = Channels(cast("UnitOfWork", None), api)
        try:
            with pytest.raises(Postponed):
                await channels.find("channel-1099")
            found = await channels.find("channel-1099")
        finally:
            await api.close()
        assert found is not None
        pages = [call.arguments for call in slack.calls("conversations.list")]
        assert len(pages) == 2
        assert pages[0]["limit"] == "999"


async def test_a_root_whose_answer_was_lost_is_not_posted_again_by_what_follows(
    on_stage: Stage,
) -> None:
    slack, admin = on_stage.slack, on_stage.nexus.admin
    slack.fail("chat.postMessage", CutAfter())
    slack.fail("conversations.history", Refuses(error="missing_scope"))
    task = await admin.task("Mend the login")
    await _failed(on_stage, "may have been posted already")
    await admin.say(task["id"], "Use the new API")
    card = await on_stage.card_of("Mend the login")
    await on_stage.reply(card, "Use the new API")
    assert len(on_stage.channel.messages) == 1


async def test_a_card_that_was_deleted_unheard_comes_back_once(on_stage: Stage) -> None:
    slack, admin = on_stage.slack, on_stage.nexus.admin
    task = await admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    slack.hold()
    await on_stage.anna.delete(card)
    await admin.post(f"/observer/tasks/{task['id']}/cancel")
    await admin.say(task["id"], "Not needed any more")
    again = await on_stage.card_of("Mend the login")
    await on_stage.reply(again, "Not needed any more")

    async def all_is_made() -> bool:
        return not (await admin.get("/observer/deliveries/counts"))["items"]

    await eventually(all_is_made, what="every delivery is made")
    assert len(on_stage.channel.messages) == 1
    assert "Cancelled" in on_stage.channel.messages[0].shown
