"""The Web API of the Slack for tests answers the real client as Slack answers it."""

from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from nexus.testing import slack as testing
from nexus.testing.slack import NotThereError, SlackServer


async def refusal(call: Any) -> str:
    with pytest.raises(SlackApiError) as refused:
        await call
    return str(refused.value.response["error"])


def test_the_names_that_are_offered_are_there_and_sorted() -> None:
    assert testing.__all__ == sorted(testing.__all__)
    assert all(hasattr(testing, name) for name in testing.__all__)


async def test_the_client_learns_who_it_is(slack: SlackServer, client: AsyncWebClient) -> None:
    told = await client.auth_test()
    assert told["user_id"] == slack.app.user.id
    assert told["bot_id"] == slack.app.bot_id
    assert told["team_id"] == slack.workspace.home.id
    assert set(told.headers["X-OAuth-Scopes"].split(",")) == slack.app.scopes


async def test_what_is_posted_stands_in_the_channel(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    made = await client.conversations_create(name="oblivion-dev")
    posted = await client.chat_postMessage(
        channel=made["channel"]["id"],
        text="Review it",
        username="Reviewer",
        icon_emoji=":eyes:",
        blocks=[{"type": "section", "text": {"type": "mrkdwn", "text": "*Review it*"}}],
        metadata={"event_type": "task", "event_payload": {"id": "t1"}},
    )
    (message,) = slack.channel("oblivion-dev").messages
    assert message.ts == posted["ts"]
    assert (message.username, message.icon) == ("Reviewer", ":eyes:")
    assert (message.text, message.shown) == ("Review it", "*Review it*")
    assert message.metadata == {"event_type": "task", "event_payload": {"id": "t1"}}
    assert posted["message"]["blocks"][0]["block_id"]


async def test_replies_stand_in_the_thread_of_their_root(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    channel = (await client.conversations_create(name="dev"))["channel"]["id"]
    root = (await client.chat_postMessage(channel=channel, text="root"))["ts"]
    first = await client.chat_postMessage(channel=channel, text="one", thread_ts=root)
    # The `ts` of a reply leads to the same thread.
    await client.chat_postMessage(channel=channel, text="two", thread_ts=first["ts"])
    await client.chat_postMessage(
        channel=channel, text="three", thread_ts=root, reply_broadcast=True
    )
    assert [reply.text for reply in slack.channel("dev").thread(root)] == ["one", "two", "three"]
    assert [message.text for message in slack.channel("dev").messages] == ["root"]
    read = await client.conversations_replies(channel=channel, ts=root)
    assert [message["text"] for message in read["messages"]] == ["root", "one", "two", "three"]
    assert read["messages"][0]["reply_count"] == 3
    assert [message["thread_ts"] for message in read["messages"]] == [root] * 4
    history = await client.conversations_history(channel=channel)
    assert [message["text"] for message in history["messages"]][:2] == ["three", "root"]


async def test_an_update_of_words_is_seen_as_edited_and_one_of_blocks_is_not(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    channel = (await client.conversations_create(name="dev"))["channel"]["id"]
    blocks = [{"type": "markdown", "text": "**done**"}]
    ts = (await client.chat_postMessage(channel=channel, text="TODO", blocks=blocks))["ts"]
    await client.chat_update(channel=channel, ts=ts, blocks=blocks, text="same")
    assert not slack.channel("dev").message(ts).is_edited
    await client.chat_update(channel=channel, ts=ts, text="DONE")
    message = slack.channel("dev").message(ts)
    assert message.is_edited
    assert (message.text, message.blocks) == ("DONE", ())


async def test_only_its_own_messages_may_an_app_change_or_delete(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    anna = slack.user("anna")
    channel = slack.open_channel("dev", anna)
    await anna.invite_app(channel)
    hers = await anna.say(channel, "mine")
    update = client.chat_update(channel=channel.id, ts=hers.ts, text="x")
    assert await refusal(update) == "cant_update_message"
    deletion = client.chat_delete(channel=channel.id, ts=hers.ts)
    assert await refusal(deletion) == "cant_delete_message"
    missing = client.chat_update(channel=channel.id, ts="1.000000", text="x")
    assert await refusal(missing) == "message_not_found"
    own = await client.chat_postMessage(channel=channel.id, text="own")
    await client.chat_delete(channel=channel.id, ts=own["ts"])
    with pytest.raises(NotThereError):
        channel.message(own["ts"])


async def test_a_deleted_root_refuses_replies_but_a_stone_with_replies_takes_more(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    anna = slack.user("anna")
    channel = (await client.conversations_create(name="dev"))["channel"]["id"]
    lonely = (await client.chat_postMessage(channel=channel, text="lonely"))["ts"]
    busy = (await client.chat_postMessage(channel=channel, text="busy"))["ts"]
    await client.chat_postMessage(channel=channel, text="reply", thread_ts=busy)
    for ts in (lonely, busy):
        await anna.delete(slack.channel("dev").message(ts))

    reply = client.chat_postMessage(channel=channel, text="late", thread_ts=lonely)
    assert await refusal(reply) == "thread_not_found"
    assert slack.channel("dev").message(busy).is_deleted
    await client.chat_postMessage(channel=channel, text="late", thread_ts=busy)
    assert [reply.text for reply in slack.channel("dev").thread(busy)] == ["reply", "late"]
    update = client.chat_update(channel=channel, ts=busy, text="back")
    assert await refusal(update) == "message_not_found"


async def test_an_app_posts_only_where_it_is(slack: SlackServer, client: AsyncWebClient) -> None:
    anna = slack.user("anna")
    channel = slack.open_channel("dev", anna)
    secret = slack.open_channel("secret", anna, private=True)
    assert await refusal(client.chat_postMessage(channel="C1", text="x")) == "channel_not_found"
    assert await refusal(client.chat_postMessage(channel="#dev", text="x")) == "not_in_channel"
    hidden = client.chat_postMessage(channel=secret.id, text="x")
    assert await refusal(hidden) == "channel_not_found"
    await client.conversations_join(channel=channel.id)
    wordless = client.api_call("chat.postMessage", json={"channel": "#dev"})
    assert await refusal(wordless) == "no_text"
    await client.chat_postMessage(channel="#dev", text="x")
    await anna.archive(channel)
    assert await refusal(client.chat_postMessage(channel=channel.id, text="x")) == "is_archived"


async def test_names_of_channels_are_taken_once_and_checked(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    made = await client.conversations_create(name="oblivion-dev_backend")
    await client.conversations_archive(channel=made["channel"]["id"])
    for name, error in [
        ("oblivion-dev_backend", "name_taken"),
        ("Oblivion", "invalid_name_specials"),
        ("a b", "invalid_name_specials"),
        ("a" * 81, "invalid_name_maxlength"),
        ("--", "invalid_name_punctuation"),
    ]:
        assert await refusal(client.conversations_create(name=name)) == error
    assert slack.channels == ["oblivion-dev_backend"]


async def test_archiving_throws_the_bot_out_so_that_it_cannot_take_the_channel_back(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    channel = (await client.conversations_create(name="dev"))["channel"]["id"]
    await client.conversations_archive(channel=channel)
    assert slack.channel("dev").is_archived
    unarchive = client.conversations_unarchive(channel=channel)
    assert await refusal(unarchive) == "not_in_channel"
    assert await refusal(client.conversations_join(channel=channel)) == "is_archived"
    await slack.user("anna").unarchive("dev")
    await client.conversations_join(channel=channel)
    await client.chat_postMessage(channel=channel, text="back")


async def test_pages_of_channels_may_be_short_and_lead_on(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    anna = slack.user("anna")
    for number in range(5):
        slack.open_channel(f"channel-{number}", anna)
    for number in (0, 1):
        await anna.archive(f"channel-{number}")
    pages = [
        [channel["name"] for channel in page["channels"]]
        async for page in await client.conversations_list(limit=2, exclude_archived=True)
    ]
    assert pages == [[], ["channel-2", "channel-3"], ["channel-4"]]
    assert await refusal(client.conversations_list(cursor="nonsense")) == "invalid_cursor"


async def test_the_channel_tells_who_is_in_it(slack: SlackServer, client: AsyncWebClient) -> None:
    other = slack.team("Globex")
    anna, eve = slack.user("anna"), slack.user("eve", team=other)
    channel = slack.open_channel("dev", anna, shared_with=other)
    assert not (await client.conversations_info(channel=channel.id))["channel"]["is_member"]
    await client.conversations_join(channel=channel.id)
    invited = await client.conversations_invite(channel=channel.id, users=eve.id)
    assert invited["channel"]["is_ext_shared"]
    members = await client.conversations_members(channel=channel.id)
    assert members["members"] == [anna.id, slack.app.user.id, eve.id]
    again = client.conversations_invite(channel=channel.id, users=[anna.id])
    assert await refusal(again) == "already_in_channel"
    nobody = client.conversations_invite(channel=channel.id, users=["U1"])
    assert await refusal(nobody) == "user_not_found"


async def test_people_are_found_by_id_and_by_address(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    other = slack.team("Globex")
    anna = slack.user("anna", email="anna@acme.example", is_guest=True)
    eve = slack.user("eve", email="eve@globex.example", team=other)
    jira = slack.bot("jira")
    found = (await client.users_lookupByEmail(email="Anna@acme.example"))["user"]
    assert (found["id"], found["is_restricted"]) == (anna.id, True)
    stranger = (await client.users_info(user=eve.id))["user"]
    assert (stranger["is_stranger"], stranger["team_id"]) == (True, other.id)
    assert (await client.users_info(user=jira.id))["user"]["is_bot"]
    for address in ("eve@globex.example", "nobody@acme.example"):
        assert await refusal(client.users_lookupByEmail(email=address)) == "users_not_found"
    assert await refusal(client.users_info(user="U1")) == "user_not_found"
    listed = [
        user["name"] async for page in await client.users_list(limit=1) for user in page["members"]
    ]
    assert listed == ["oblivion", "anna", "jira"]


async def test_metadata_is_told_only_to_those_who_ask(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    channel = (await client.conversations_create(name="dev"))["channel"]["id"]
    metadata = {"event_type": "task", "event_payload": {"id": "t1"}}
    posted = await client.chat_postMessage(channel=channel, text="root", metadata=metadata)
    for read in (
        client.conversations_history(channel=channel, include_all_metadata=True),
        client.conversations_replies(channel=channel, ts=posted["ts"], include_all_metadata=True),
    ):
        assert (await read)["messages"][0]["metadata"] == metadata
    without = await client.conversations_history(channel=channel)
    assert "metadata" not in without["messages"][0]
    wrong = client.chat_postMessage(channel=channel, text="x", metadata={"event_type": "task"})
    assert await refusal(wrong) == "invalid_metadata_format"


async def test_history_is_read_between_two_moments(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    channel = (await client.conversations_create(name="dev"))["channel"]["id"]
    stamps = [
        (await client.chat_postMessage(channel=channel, text=str(number)))["ts"]
        for number in range(4)
    ]

    async def read(**between: Any) -> list[str]:
        answer = await client.conversations_history(channel=channel, **between)
        return [message["text"] for message in answer["messages"] if "subtype" not in message]

    assert await read(oldest=stamps[0], latest=stamps[3]) == ["2", "1"]
    assert await read(oldest=stamps[0], latest=stamps[1], inclusive=True) == ["1", "0"]
    assert await read(oldest=stamps[2]) == ["3"]
    assert await read(limit=1) == ["3"]
    wrong = client.conversations_history(channel=channel, oldest="yesterday")
    assert await refusal(wrong) == "invalid_ts_oldest"


async def test_reactions_are_given_once_and_taken_back(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    channel = (await client.conversations_create(name="dev"))["channel"]["id"]
    ts = (await client.chat_postMessage(channel=channel, text="x"))["ts"]
    there = {"channel": channel, "timestamp": ts, "name": "eyes"}
    await client.reactions_add(**there)
    assert slack.channel("dev").message(ts).reactions == {"eyes": (slack.app.user.id,)}
    assert await refusal(client.reactions_add(**there)) == "already_reacted"
    await client.reactions_remove(**there)
    assert slack.channel("dev").message(ts).reactions == {}
    assert await refusal(client.reactions_remove(**there)) == "no_reaction"


async def test_tokens_and_scopes_are_checked(slack: SlackServer, client: AsyncWebClient) -> None:
    nobody = AsyncWebClient(base_url=slack.api_url)
    stranger = AsyncWebClient(token="xoxb-no", base_url=slack.api_url)
    assert await refusal(nobody.auth_test()) == "not_authed"
    assert await refusal(stranger.auth_test()) == "invalid_auth"
    wrong_kind = client.apps_connections_open(app_token=slack.app.bot_token)
    assert await refusal(wrong_kind) == "not_allowed_token_type"

    slack.app.scopes -= {"chat:write"}
    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(channel="C1", text="x")
    answer = refused.value.response
    assert (answer["error"], answer["needed"]) == ("missing_scope", "chat:write")
    assert set(answer["provided"].split(",")) == slack.app.scopes

    slack.app.deactivate()
    assert await refusal(client.auth_test()) == "account_inactive"
    slack.revoke_tokens()
    assert await refusal(client.auth_test()) == "token_revoked"


async def test_a_name_of_its_own_is_ignored_without_the_scope_for_it(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    slack.app.scopes -= {"chat:write.customize"}
    channel = (await client.conversations_create(name="dev"))["channel"]["id"]
    await client.chat_postMessage(channel=channel, text="x", username="Reviewer")
    (message,) = slack.channel("dev").messages
    assert (message.username, message.user_id) == (None, slack.app.user.id)


async def test_what_a_method_needs_must_be_given(client: AsyncWebClient) -> None:
    assert await refusal(client.api_call("chat.postMessage", json={})) == "invalid_arguments"
    assert await refusal(client.api_call("chat.dance", json={})) == "unknown_method"
    # Methods that read take no JSON.
    info = client.api_call("conversations.info", json={"channel": "C1"})
    assert await refusal(info) == "invalid_arguments"
    form = client.api_call("conversations.info", data={"channel": "C1"})
    assert await refusal(form) == "channel_not_found"


async def test_bodies_that_are_no_json_objects_are_refused(slack: SlackServer) -> None:
    headers = {
        "Authorization": f"Bearer {slack.app.bot_token}",
        "Content-Type": "application/json",
    }
    async with aiohttp.ClientSession(headers=headers) as http:
        for body, error in [
            (b"", "invalid_arguments"),
            (b"{", "invalid_json"),
            (b"\xff", "invalid_json"),
            (b"[" * 100_000, "invalid_json"),
            (b"[]", "json_not_object"),
        ]:
            async with http.post(f"{slack.api_url}chat.postMessage", data=body) as answer:
                assert (answer.status, (await answer.json())["error"]) == (200, error)


async def test_whispers_are_shown_to_one_person_of_the_channel(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    anna, ben = slack.user("anna"), slack.user("ben")
    channel = slack.open_channel("dev", anna)
    await anna.invite_app(channel)
    await client.chat_postEphemeral(channel=channel.id, user=anna.id, text="not you")
    assert [(one.user_id, one.text) for one in channel.whispers] == [(anna.id, "not you")]
    assert channel.messages == []
    other = client.chat_postEphemeral(channel=channel.id, user=ben.id, text="x")
    assert await refusal(other) == "user_not_in_channel"


async def test_a_permalink_leads_to_the_message(slack: SlackServer, client: AsyncWebClient) -> None:
    channel = (await client.conversations_create(name="dev"))["channel"]["id"]
    ts = (await client.chat_postMessage(channel=channel, text="x"))["ts"]
    told = await client.chat_getPermalink(channel=channel, message_ts=ts)
    assert told["permalink"] == (
        f"https://acme.slack.com/archives/{channel}/p{ts.replace('.', '')}"
    )


async def test_long_text_is_cut_with_a_warning_and_an_update_refuses_it(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    channel = (await client.conversations_create(name="dev"))["channel"]["id"]
    posted = await client.chat_postMessage(channel=channel, text="x" * 40_001)
    assert posted["warning"] == "message_truncated"
    assert len(slack.channel("dev").message(posted["ts"]).text) == 40_000
    update = client.chat_update(channel=channel, ts=posted["ts"], text="x" * 4_001)
    assert await refusal(update) == "msg_too_long"
