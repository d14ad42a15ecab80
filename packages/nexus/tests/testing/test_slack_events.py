"""What people do in the Slack for tests reaches an app over signed HTTP, as Slack tells it."""

import asyncio
from functools import partial

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from fake_time import FakeTime
from nexus.testing.slack import (
    Channel,
    Delivery,
    NeverHappenedError,
    Person,
    Rules,
    Seal,
    SlackServer,
    SlackTestingError,
)
from slack_app import ListeningApp, listening_app


async def test_an_address_must_send_the_challenge_back_with_200(
    slack: SlackServer, app: ListeningApp
) -> None:
    with pytest.raises(SlackTestingError, match="did not send the challenge back"):
        await slack.send_events_to(slack.url)
    app.handshake = 500
    with pytest.raises(SlackTestingError, match="did not send the challenge back"):
        await slack.send_events_to(app.url)


async def test_a_message_arrives_signed_in_an_envelope(
    slack: SlackServer, app: ListeningApp, anna: Person, channel: Channel
) -> None:
    said = await anna.say(channel, "a < b & <@U1> <https://x.example|x>")
    assert said.shown == said.text
    await slack.settled()
    (event,) = [one for one in app.events if one["event"].get("user") == anna.id]
    assert event["type"] == "event_callback"
    assert event["team_id"] == slack.workspace.home.id
    assert event["api_app_id"] == slack.app.id
    assert event["event_id"].startswith("Ev")
    assert event["authorizations"][0]["user_id"] == slack.app.user.id
    assert event["is_ext_shared_channel"] is False
    told = event["event"]
    assert (told["type"], told["channel_type"], told["channel"]) == (
        "message",
        "channel",
        channel.id,
    )
    assert told["text"] == "a &lt; b &amp; <@U1> <https://x.example|x>"
    assert told["ts"] == told["event_ts"] == said.ts
    assert told["client_msg_id"]
    delivery = slack.deliveries[-1]
    assert delivery.is_taken
    assert (len(delivery.tries), delivery.tries[0].answer.status) == (1, 200)
    assert 0 < delivery.took_ms < 500


async def test_a_mention_is_told_twice_under_two_event_ids(
    slack: SlackServer, app: ListeningApp, anna: Person, channel: Channel
) -> None:
    root = await anna.say(channel, f"{slack.mention} help")
    await anna.say(channel, f"and {slack.mention}", thread=root)
    await slack.settled()
    for text in (f"{slack.mention} help", f"and {slack.mention}"):
        about = [one for one in app.events if one["event"].get("text") == text]
        assert {one["event"]["type"] for one in about} == {"message", "app_mention"}
        assert len({one["event_id"] for one in about}) == 2
        assert len({one["event"]["ts"] for one in about}) == 1
    reply = app.told("app_mention")[-1]
    assert reply["thread_ts"] == root.ts
    assert "channel_type" not in reply


async def test_an_edit_of_a_mention_brings_the_mention_again_under_another_event_id(
    slack: SlackServer, app: ListeningApp, anna: Person, channel: Channel
) -> None:
    said = await anna.say(channel, f"{slack.mention} hlep")
    await anna.edit(said, f"{slack.mention} help")
    await anna.edit(said, "never mind")
    await slack.settled()
    first, second = app.told("app_mention")
    assert first["ts"] == second["ts"] == said.ts
    assert "edited" not in first
    assert second["edited"]["user"] == anna.id
    assert second["text"] == f"{slack.mention} help"
    mentions = [one for one in app.events if one["event"]["type"] == "app_mention"]
    assert len({one["event_id"] for one in mentions}) == 2


async def test_direct_messages_bring_no_mention(
    slack: SlackServer, app: ListeningApp, anna: Person
) -> None:
    await anna.tell_app(f"hello {slack.mention}")
    await slack.settled()
    assert app.told("app_mention") == []
    (told,) = app.told("message")
    assert told["channel_type"] == "im"
    assert [one.text for one in slack.direct_messages(anna).messages] == [f"hello {slack.mention}"]


async def test_edits_and_deletions_nest_the_message(
    slack: SlackServer, app: ListeningApp, anna: Person, channel: Channel
) -> None:
    said = await anna.say(channel, "frist")
    edited = await anna.edit(said, "first")
    await anna.delete(edited)
    await slack.settled()
    by_subtype = {one.get("subtype"): one for one in app.told("message")}
    changed = by_subtype["message_changed"]
    assert changed["message"]["text"] == "first"
    assert changed["message"]["edited"]["user"] == anna.id
    assert changed["previous_message"]["text"] == "frist"
    assert (changed["message"]["ts"], changed["channel"]) == (said.ts, channel.id)
    assert changed["ts"] not in {said.ts, None}
    gone = by_subtype["message_deleted"]
    assert gone["deleted_ts"] == said.ts
    assert gone["previous_message"]["text"] == "first"
    assert channel.messages == []


async def test_a_deleted_root_with_replies_is_told_as_a_change_into_a_stone(
    slack: SlackServer, app: ListeningApp, anna: Person, channel: Channel
) -> None:
    root = await anna.say(channel, "root")
    await anna.say(channel, "reply", thread=root)
    await anna.delete(root)
    await slack.settled()
    changed = [one for one in app.told("message") if one.get("subtype") == "message_changed"]
    assert changed[-1]["message"]["subtype"] == "tombstone"
    assert changed[-1]["previous_message"]["text"] == "root"


async def test_what_the_app_says_comes_back_to_it(
    slack: SlackServer, app: ListeningApp, client: AsyncWebClient, channel: Channel
) -> None:
    await client.chat_postMessage(channel=channel.id, text=f"I am {slack.mention}")
    await client.chat_postMessage(channel=channel.id, text="And I", username="Reviewer")
    await slack.settled()
    plain, named = [one for one in app.told("message") if one.get("bot_id")]
    assert (plain["bot_id"], plain["app_id"]) == (slack.app.bot_id, slack.app.id)
    assert plain["user"] == slack.app.user.id
    assert (named["subtype"], named["username"]) == ("bot_message", "Reviewer")
    assert app.told("app_mention") == []


async def test_other_bots_are_told_apart_from_people(
    slack: SlackServer, app: ListeningApp, channel: Channel
) -> None:
    jira = slack.bot("jira")
    await jira.say(channel, f"Look at this, {slack.mention}")
    await slack.settled()
    (told,) = [one for one in app.told("message") if one.get("user") == jira.id]
    assert told["bot_id"] not in {None, slack.app.bot_id}
    assert told["app_id"] != slack.app.id
    assert len(app.told("app_mention")) == 1


async def test_only_what_the_app_subscribed_to_and_can_see_is_told(
    slack: SlackServer, app: ListeningApp, anna: Person, channel: Channel
) -> None:
    await slack.settled()
    told_before = len(app.events)
    elsewhere = slack.open_channel("elsewhere", anna)
    await anna.say(elsewhere, f"{slack.mention} are you here?")
    slack.app.events -= {"message.channels"}
    await anna.say(channel, "quiet")
    await slack.settled()
    assert len(app.events) == told_before


async def test_channels_tell_that_they_change(
    slack: SlackServer, app: ListeningApp, anna: Person, channel: Channel
) -> None:
    await anna.rename(channel, "development")
    await anna.archive("development")
    await anna.unarchive("development")
    await slack.settled()
    (renamed,) = app.told("channel_rename")
    assert renamed["channel"]["name"] == "development"
    assert [one["channel"] for one in app.told("channel_archive")] == [channel.id]
    assert [one["channel"] for one in app.told("channel_unarchive")] == [channel.id]
    joined = app.told("member_joined_channel")
    assert {one["user"] for one in joined} == {slack.app.user.id}


async def test_shared_channels_say_so(slack: SlackServer, app: ListeningApp, anna: Person) -> None:
    globex = slack.team("Globex")
    shared = slack.open_channel("shared", anna, shared_with=globex)
    await anna.invite_app(shared)
    eve = slack.user("eve", team=globex)
    await eve.say(shared, "hello")
    await slack.settled()
    (about,) = [one for one in app.events if one["event"].get("user") == eve.id]
    assert about["is_ext_shared_channel"] is True
    assert about["event"]["team"] == globex.id


async def test_reactions_are_told(
    slack: SlackServer, app: ListeningApp, anna: Person, channel: Channel
) -> None:
    said = await anna.say(channel, "done")
    await anna.react(said, "tada")
    await slack.settled()
    (told,) = app.told("reaction_added")
    assert (told["reaction"], told["item"]["ts"]) == ("tada", said.ts)


async def test_what_is_not_taken_is_sent_again_and_says_so(
    slack: SlackServer, app: ListeningApp, anna: Person, channel: Channel
) -> None:
    await slack.settled()
    app.statuses = [500, 503]
    app.headers.clear()
    await anna.say(channel, "hello")
    await slack.settled()
    delivery = slack.deliveries[-1]
    assert [one.answer.status for one in delivery.tries] == [500, 503, 200]
    assert len({one.answer.sent_body for one in delivery.tries}) == 1
    numbers = [headers.get("X-Slack-Retry-Num") for headers in app.headers]
    assert numbers == [None, "1", "2"]
    assert app.headers[1]["X-Slack-Retry-Reason"] == "http_error"


async def test_after_three_retries_an_event_is_given_up(
    slack: SlackServer, app: ListeningApp, anna: Person, channel: Channel
) -> None:
    await slack.settled()
    app.statuses = [500] * 4
    await anna.say(channel, "hello")
    await slack.settled()
    assert len(slack.deliveries[-1].tries) == 4
    assert not slack.deliveries[-1].is_taken


async def test_an_app_can_refuse_retries(
    slack: SlackServer, app: ListeningApp, anna: Person, channel: Channel
) -> None:
    await slack.settled()
    app.statuses, app.answer_headers = [500], {"X-Slack-No-Retry": "1"}
    await anna.say(channel, "hello")
    await slack.settled()
    assert len(slack.deliveries[-1].tries) == 1


async def test_who_answers_too_late_or_is_gone_is_asked_again() -> None:
    rules = Rules(retry_after_s=(0.0,), answer_within_s=0.2)
    async with SlackServer.running(rules=rules) as slack:
        anna = slack.user("anna")
        async with listening_app(slack) as app:
            app.silent = True
            await anna.tell_app("hello")
            await slack.settled()
        await anna.tell_app("are you there?")
        await slack.settled()
    silent, gone = slack.deliveries
    assert [one.answer.failure for one in silent.tries] == ["http_timeout"] * 2
    assert silent.tries[1].reason == "http_timeout"
    assert [one.answer.failure for one in gone.tries] == ["connection_failed"] * 2


def has_tries(delivery: Delivery, count: int) -> bool:
    return len(delivery.tries) == count


async def test_retries_come_at_once_after_a_minute_and_after_five_by_the_clock() -> None:
    clock = FakeTime()
    async with SlackServer.running(clock=clock) as slack, listening_app(slack) as app:
        app.statuses = [500, 500, 500]
        await slack.user("anna").tell_app("hello")
        (delivery,) = slack.deliveries
        for tries, seconds in [(2, 60), (3, 300)]:
            await slack.until(partial(has_tries, delivery, tries))
            assert not delivery.is_over
            clock.advance(seconds=seconds - 1)
            slack.tick()
            with pytest.raises(NeverHappenedError):
                await slack.until(partial(has_tries, delivery, tries + 1), within_s=0.02)
            clock.advance(seconds=1)
            slack.tick()
        await slack.settled()
    start = delivery.tries[0].at_ms
    assert [(one.at_ms - start) // 1000 for one in delivery.tries] == [0, 0, 60, 360]


async def test_bad_old_and_missing_signatures_are_refused_by_the_real_verifier(
    slack: SlackServer, app: ListeningApp
) -> None:
    event = slack.envelope({"type": "message", "text": "hello"})
    for seal in (Seal.FORGED, Seal.OLD, Seal.MISSING):
        assert (await slack.send(event, seal=seal)).status == 401
    assert app.events == []
    assert (await slack.send(event)).status == 200
    assert (await slack.send(b"not even JSON", seal=Seal.FORGED)).status == 401


async def test_a_replay_is_the_same_bytes_under_the_same_signature(
    slack: SlackServer, app: ListeningApp, anna: Person
) -> None:
    await anna.tell_app("pay me")
    await slack.settled()
    assert (await slack.replay(slack.deliveries[-1])).status == 200
    assert app.bodies[0] == app.bodies[1]
    name = "X-Slack-Signature"
    assert app.headers[0][name] == app.headers[1][name]


async def test_an_app_that_is_taken_out_is_told_so(slack: SlackServer, app: ListeningApp) -> None:
    slack.revoke_tokens()
    await slack.settled()
    assert app.told("tokens_revoked")[0]["tokens"] == {"oauth": [], "bot": [slack.app.user.id]}
    assert len(app.told("app_uninstalled")) == 1


async def test_the_same_event_can_come_twice_and_events_out_of_order(
    slack: SlackServer, app: ListeningApp, anna: Person
) -> None:
    slack.hold()
    for text in ("one", "two"):
        await anna.tell_app(text)
    assert not any(delivery.tries for delivery in slack.deliveries)
    await slack.release(reverse=True)
    await slack.settled()
    slack.repeat(slack.deliveries[0])
    await slack.settled()
    assert [one["event"]["text"] for one in app.events] == ["two", "one", "one"]
    assert app.events[1]["event_id"] == app.events[2]["event_id"] != app.events[0]["event_id"]


async def test_envelopes_can_lack_fields(slack: SlackServer, app: ListeningApp) -> None:
    await slack.send(slack.envelope({}, without=("event_id", "team_id")))
    (arrived,) = app.events
    assert "event_id" not in arrived
    assert arrived["event"] == {}


async def test_a_burst_is_delivered_whole(
    slack: SlackServer, app: ListeningApp, anna: Person, channel: Channel
) -> None:
    said = await asyncio.gather(*(anna.say(channel, str(number)) for number in range(200)))
    await slack.settled(within_s=20)
    assert {one["ts"] for one in app.told("message")} >= {message.ts for message in said}
    assert len({one["event_id"] for one in app.events}) == len(app.events)


async def test_what_never_happens_is_said_with_what_stands_in_slack(
    slack: SlackServer, anna: Person, channel: Channel
) -> None:
    await anna.say(channel, "hello")
    with pytest.raises(NeverHappenedError, match=r"(?s)#dev.*anna: 'hello'"):
        await slack.until(lambda: slack.channel("nowhere"), within_s=0.01)


async def test_waiting_ends_with_the_change_that_was_awaited(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    waiting = asyncio.create_task(slack.until(lambda: slack.channel("dev").messages[0]))
    channel = (await client.conversations_create(name="dev"))["channel"]["id"]
    await client.chat_postMessage(channel=channel, text="here")
    assert (await waiting).text == "here"
