"""Clicks in the Slack for tests reach the app, and what it answers reaches Slack."""

from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from fake_time import FakeTime
from nexus.testing.slack import Channel, Message, NotThereError, Person, Seal, SlackServer
from slack_app import ListeningApp, listening_app

BLOCKS: list[dict[str, Any]] = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "Delete it?"}},
    {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": "approve",
                "text": {"type": "plain_text", "text": "Approve"},
                "style": "primary",
                "value": "call-1",
            },
            {"type": "button", "text": {"type": "plain_text", "text": "Deny"}},
        ],
    },
]


@pytest.fixture
async def asked(client: AsyncWebClient, anna: Person, channel: Channel) -> Message:
    root = await anna.say(channel, "root")
    posted = await client.chat_postMessage(
        channel=channel.id, thread_ts=root.ts, text="Delete it?", blocks=BLOCKS
    )
    return channel.message(posted["ts"])


async def test_a_click_tells_who_clicked_what_and_where(
    slack: SlackServer, app: ListeningApp, anna: Person, asked: Message
) -> None:
    click = await anna.click(asked, "Approve")
    await slack.settled()
    assert click.is_taken
    (told,) = app.interactions
    assert told["type"] == "block_actions"
    assert (told["user"]["id"], told["user"]["username"]) == (anna.id, "anna")
    assert told["team"]["id"] == slack.workspace.home.id
    assert told["api_app_id"] == slack.app.id
    assert told["channel"] == {"id": asked.channel_id, "name": "dev"}
    assert told["container"] == {
        "type": "message",
        "message_ts": asked.ts,
        "channel_id": asked.channel_id,
        "is_ephemeral": False,
        "thread_ts": asked.thread_ts,
    }
    assert told["message"]["ts"] == asked.ts
    assert told["message"]["blocks"] == list(asked.blocks)
    assert told["trigger_id"]
    assert told["state"] == {"values": {}}
    (action,) = told["actions"]
    assert (action["action_id"], action["value"]) == ("approve", "call-1")
    assert action["block_id"] == asked.blocks[1]["block_id"]


async def test_a_button_is_found_by_its_action_id_too_and_slack_names_those_without(
    slack: SlackServer, app: ListeningApp, anna: Person, asked: Message
) -> None:
    await anna.click(asked, "approve")
    await anna.click(asked, "Deny")
    await slack.settled()
    clicked = [one["actions"][0]["action_id"] for one in app.interactions]
    assert sorted(clicked) == sorted(button.action_id for button in asked.buttons)
    with pytest.raises(NotThereError, match="there are: 'Approve', 'Deny'"):
        await anna.click(asked, "Maybe")


async def test_who_sees_a_button_can_click_it_and_a_gone_button_cannot_be_clicked(
    slack: SlackServer, app: ListeningApp, client: AsyncWebClient, asked: Message
) -> None:
    eve = slack.user("eve", team=slack.team("Globex"))
    await eve.click(asked, "Approve")
    await slack.settled()
    assert app.interactions[0]["user"]["team_id"] == eve.user.team_id
    await client.chat_update(channel=asked.channel_id, ts=asked.ts, text="eve approved")
    with pytest.raises(NotThereError, match="there are: none"):
        await eve.click(asked, "Approve")


async def test_a_click_is_tried_once_for_a_person_waits(
    slack: SlackServer, app: ListeningApp, anna: Person, asked: Message
) -> None:
    await slack.settled()
    app.statuses = [500]
    click = await anna.click(asked, "Approve")
    await slack.settled()
    assert not click.is_taken
    assert len(click.tries) == 1


async def test_the_answer_to_a_click_can_replace_the_message_and_whisper(
    slack: SlackServer, app: ListeningApp, anna: Person, asked: Message
) -> None:
    await anna.click(asked, "Approve")
    await slack.settled()
    back = AsyncWebhookClient(app.interactions[0]["response_url"])
    assert (await back.send(text="Only admins may", response_type="ephemeral")).status_code == 200
    channel = slack.channel("dev")
    assert [(one.user_id, one.text) for one in channel.whispers] == [(anna.id, "Only admins may")]
    await back.send(text="approved by anna", replace_original=True)
    assert channel.message(asked).shown == "approved by anna"
    await back.send(text="for all", response_type="in_channel")
    assert channel.messages[-1].text == "for all"
    await back.send(delete_original=True)
    with pytest.raises(NotThereError):
        channel.message(asked)
    assert (await back.send(text="5")).status_code == 200
    assert (await back.send(text="6")).body == '{"ok": false, "error": "used_url"}'


async def test_the_address_for_answers_is_good_for_half_an_hour() -> None:
    clock = FakeTime()
    async with SlackServer.running(clock=clock) as slack, listening_app(slack) as app:
        client = AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_url)
        anna = slack.user("anna")
        posted = await client.chat_postMessage(channel=anna.id, text="?", blocks=BLOCKS)
        await anna.click(slack.direct_messages(anna).message(posted["ts"]), "Deny")
        await slack.settled()
        clock.advance(seconds=1801)
        back = AsyncWebhookClient(app.interactions[0]["response_url"])
        assert (await back.send(text="late")).status_code == 404


async def test_interactions_can_be_forged(
    slack: SlackServer, app: ListeningApp, anna: Person, asked: Message
) -> None:
    await anna.click(asked, "Approve")
    await slack.settled()
    forged = await slack.send_interaction(app.interactions[0], seal=Seal.FORGED)
    assert forged.status == 401
    assert len(app.interactions) == 1


async def test_bad_blocks_are_refused_as_an_answer_too(
    slack: SlackServer, app: ListeningApp, anna: Person, asked: Message
) -> None:
    await anna.click(asked, "Approve")
    await slack.settled()
    url = app.interactions[0]["response_url"]
    async with aiohttp.ClientSession() as http:
        async with http.post(url, json={"blocks": [{"type": "carpet"}]}) as answer:
            assert (answer.status, (await answer.json())["error"]) == (400, "invalid_blocks")
        async with http.post(url, data=b"\xff") as answer:
            assert answer.status == 400
