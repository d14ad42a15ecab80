"""The tool ``slack`` against a Slack of the tests' own: real HTTP, Slack's rules and limits."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from nexus.domain.tool_catalogue import check_action
from nexus.settings import SettingsError, load_settings
from nexus.testing.slack import (
    Channel,
    CutAfter,
    CutBefore,
    Fault,
    Hangs,
    HangsAfter,
    Person,
    RateLimited,
    Refuses,
    Rules,
    ServerFails,
    SlackServer,
)
from nexus.tools.builtins import SlackTool
from nexus.tools.builtins._slack_calls import Pace
from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode
from running_tools import running

QUICK = Pace(gap=0, answer=5, settle=0)


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer.running(rules=Rules(paced=False)) as slack:
        yield slack


@pytest.fixture
def anna(slack: SlackServer) -> Person:
    return slack.user("anna")


@pytest.fixture
async def channel(slack: SlackServer, anna: Person) -> Channel:
    """An allowed channel, with the app in it."""
    channel = slack.open_channel("ops", anna)
    await anna.invite_app(channel)
    return channel


@pytest.fixture
async def tool(slack: SlackServer, channel: Channel) -> AsyncIterator[SlackTool]:
    token = slack.app.bot_token
    async with running(SlackTool(token, slack.api_url, [channel.id], QUICK)) as tool:
        yield tool


def say(channel: Channel, text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"channel": channel.id, "text": text, **more}


async def refused(tool: SlackTool, action: str, params: Any, seconds: float = 5) -> ToolError:
    with pytest.raises(ToolError) as caught:
        await tool.call(action, params, seconds)
    return caught.value


async def test_a_message_is_posted_answered_and_read(
    tool: SlackTool, channel: Channel, anna: Person
) -> None:
    posted = await tool.call("post_message", say(channel, "deployed *v7*"), 5)
    assert posted == {"channel": channel.id, "ts": channel.messages[-1].ts}
    await anna.say(channel, "thanks", thread=posted["ts"])
    reply = await tool.call("post_message", say(channel, "sure", thread_ts=posted["ts"]), 5)
    read = await tool.call("get_thread", {"channel": channel.id, "ts": posted["ts"]}, 5)
    assert [(one["text"], one["isBot"]) for one in read["messages"]] == [
        ("deployed *v7*", True),
        ("thanks", False),
        ("sure", True),
    ]
    assert read["messages"][1]["author"] == anna.user.id
    assert (read["messages"][2]["ts"], read["hasMore"]) == (reply["ts"], False)
    short = await tool.call(
        "get_thread", {"channel": channel.id, "ts": posted["ts"], "limit": 1}, 5
    )
    assert (len(short["messages"]), short["hasMore"]) == (1, True)


async def test_a_reaction_is_added_once(
    tool: SlackTool, slack: SlackServer, channel: Channel, anna: Person
) -> None:
    message = await anna.say(channel, "look")
    wish = {"channel": channel.id, "ts": message.ts, "emoji": "eyes"}
    first = await tool.call("add_reaction", wish, 5)
    assert await tool.call("add_reaction", wish, 5) == first == wish
    assert channel.message(message).reactions == {"eyes": (slack.app.user.id,)}


async def test_a_message_mentions_nobody(tool: SlackTool, channel: Channel, anna: Person) -> None:
    text = f"<!channel> <!here> <@{anna.user.id}> <https://evil.com|our site> a & b < c"
    await tool.call("post_message", say(channel, text), 5)
    stored = channel.messages[-1].text
    assert "<" not in stored
    assert ">" not in stored
    assert stored.startswith("&lt;!channel&gt;")


@pytest.mark.parametrize("action", ["post_message", "add_reaction", "get_thread"])
async def test_other_channels_are_not_reached(
    tool: SlackTool, slack: SlackServer, anna: Person, action: str
) -> None:
    other = slack.open_channel("board", anna)
    await anna.invite_app(other)
    message = await anna.say(other, "secret")
    more = {
        "post_message": {"text": "x"},
        "add_reaction": {"ts": message.ts, "emoji": "eyes"},
        "get_thread": {"ts": message.ts},
    }
    before = len(slack.calls())
    error = await refused(tool, action, {"channel": other.id, **more[action]})
    assert error.code == ToolCode.NOT_ALLOWED
    for name in ("board", "#board", anna.user.id, f"{other.id}\n", ""):
        wrong = await refused(tool, action, {"channel": name, **more[action]})
        assert wrong.code == ToolCode.INVALID_PARAMS
    assert len(slack.calls()) == before


@pytest.mark.parametrize(
    "params",
    [
        *({"text": ""}, {"text": "x" * 4001}, {"text": "x", "thread_ts": "now"}),
        *({"text": "x", "blocks": []}, {"text": "x", "thread_ts": "1.000001&channel=C1"}),
    ],
    ids=["empty", "long", "thread", "blocks", "more"],
)
async def test_what_does_not_fit_is_not_sent(
    tool: SlackTool, slack: SlackServer, channel: Channel, params: dict[str, Any]
) -> None:
    before = len(slack.calls())
    error = await refused(tool, "post_message", {"channel": channel.id, **params})
    assert (error.code, len(slack.calls())) == (ToolCode.INVALID_PARAMS, before)


async def test_what_slack_refuses_is_told_with_its_reason(
    tool: SlackTool, channel: Channel
) -> None:
    nowhere = {"channel": channel.id, "ts": "1700000000.000001"}
    error = await refused(tool, "get_thread", nowhere)
    assert (error.code, error.message) == (ToolCode.TOOL_FAILED, "Slack finds no such thread")
    error = await refused(tool, "add_reaction", {**nowhere, "emoji": "eyes"})
    assert error.message == "Slack finds no such message"


async def test_a_void_token_is_a_matter_for_an_admin(
    tool: SlackTool, slack: SlackServer, channel: Channel
) -> None:
    token = slack.app.bot_token
    slack.revoke_tokens()
    error = await refused(tool, "post_message", say(channel))
    assert (error.code, token in error.message) == (ToolCode.TOOL_UNAVAILABLE, False)


async def test_slacks_limit_is_waited_for_while_there_is_time(
    tool: SlackTool, slack: SlackServer, channel: Channel
) -> None:
    slack.fail("chat.postMessage", RateLimited(retry_after_s=1))
    began = time.monotonic()
    await tool.call("post_message", say(channel), 10)
    assert (time.monotonic() - began >= 1, len(channel.messages)) == (True, 1)
    slack.fail("chat.postMessage", RateLimited(retry_after_s=90))
    error = await refused(tool, "post_message", say(channel))
    assert error.message == "Slack's rate limit is reached; try again in 90 s"
    assert len(channel.messages) == 1


LOST: dict[str, Fault] = {
    "cut after": CutAfter(),
    "cut before": CutBefore(),
    "page": ServerFails(),
    "trouble": Refuses(error="fatal_error"),
}


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST.keys())
@pytest.mark.parametrize("in_thread", [False, True], ids=["channel", "thread"])
async def test_a_message_whose_answer_was_lost_is_there_once(
    tool: SlackTool,
    slack: SlackServer,
    channel: Channel,
    anna: Person,
    fault: Fault,
    in_thread: bool,
) -> None:
    root = await anna.say(channel, "hello?")
    thread = {"thread_ts": root.ts} if in_thread else {}
    slack.fail("chat.postMessage", fault)
    posted = await tool.call("post_message", say(channel, **thread), 5)
    said = [one for one in channel.posted.values() if one.text == "hello"]
    assert [posted] == [{"channel": channel.id, "ts": one.ts, **thread} for one in said]


async def test_a_message_whose_answer_does_not_come_is_looked_for(
    slack: SlackServer, channel: Channel
) -> None:
    pace = Pace(gap=0, answer=0.2, settle=0)
    slack.fail("chat.postMessage", HangsAfter())
    async with running(SlackTool(slack.app.bot_token, slack.api_url, [channel.id], pace)) as tool:
        posted = await tool.call("post_message", say(channel), 30)
    assert [one.ts for one in channel.messages] == [posted["ts"]]


@pytest.mark.parametrize("fault", [Refuses(error="missing_scope"), CutBefore()], ids=["no", "cut"])
async def test_where_slack_does_not_let_us_look_the_outcome_is_unknown(
    tool: SlackTool, slack: SlackServer, channel: Channel, fault: Fault
) -> None:
    slack.fail("chat.postMessage", CutAfter())
    slack.fail("conversations.history", fault)
    error = await refused(tool, "post_message", say(channel))
    assert error.code == ToolCode.OUTCOME_UNKNOWN
    assert "look before asking again" in error.message
    assert len(channel.messages) == 1


async def test_a_message_that_is_lost_again_and_again_is_given_up(
    tool: SlackTool, slack: SlackServer, channel: Channel
) -> None:
    slack.fail("chat.postMessage", CutBefore(), times=9)
    error = await refused(tool, "post_message", say(channel))
    assert (error.code, channel.messages) == (ToolCode.OUTCOME_UNKNOWN, [])


async def test_what_there_is_no_time_for_is_not_sent(
    tool: SlackTool, slack: SlackServer, channel: Channel
) -> None:
    before = len(slack.calls())
    thread = {"channel": channel.id, "ts": "1700000000.000001"}
    error = await refused(tool, "get_thread", thread, seconds=0)
    assert (error.code, len(slack.calls())) == (ToolCode.TIMED_OUT, before)


async def test_an_answer_is_given_up_before_nobody_waits_for_the_call_any_more(
    tool: SlackTool, slack: SlackServer, channel: Channel
) -> None:
    slack.fail("chat.postMessage", HangsAfter())
    error = await asyncio.wait_for(refused(tool, "post_message", say(channel), seconds=2), 30)
    assert error.code == ToolCode.OUTCOME_UNKNOWN, "and not that it timed out"


async def test_two_messages_that_say_the_same_are_two(
    tool: SlackTool, slack: SlackServer, channel: Channel
) -> None:
    await tool.call("post_message", say(channel), 5)
    slack.fail("chat.postMessage", CutBefore())
    await tool.call("post_message", say(channel), 5)
    assert len(channel.messages) == 2


async def test_a_slack_that_hangs_holds_nothing_up(
    tool: SlackTool, slack: SlackServer, channel: Channel
) -> None:
    slack.fail("chat.postMessage", Hangs())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(tool.call("post_message", say(channel), 5), 0.2)
    assert (await tool.call("post_message", say(channel), 5))["ts"]


async def test_messages_of_a_channel_keep_their_distance(
    slack: SlackServer, channel: Channel, anna: Person
) -> None:
    other = slack.open_channel("quiet", anna)
    await anna.invite_app(other)
    both = [channel.id, other.id]
    async with running(SlackTool(slack.app.bot_token, slack.api_url, both, Pace(gap=0.2))) as tool:
        began = time.monotonic()
        three = [tool.call("post_message", say(channel, str(n)), 5) for n in range(3)]
        await asyncio.gather(*three, tool.call("post_message", say(other), 5))
        assert time.monotonic() - began >= 0.4
        assert [one.text for one in channel.messages] == ["0", "1", "2"]
        crowded = SlackTool(slack.app.bot_token, slack.api_url, both, Pace(gap=60))
        async with running(crowded):
            await crowded.call("post_message", say(channel), 5)
            error = await refused(crowded, "post_message", say(channel))
            assert "others post in this channel; try again in" in error.message


async def test_a_slack_that_is_not_there_is_unavailable() -> None:
    async with running(SlackTool("t", "http://127.0.0.1:9/api/", ["C012"], QUICK)) as tool:
        error = await refused(tool, "post_message", {"channel": "C012", "text": "x"})
    assert error.code == ToolCode.TOOL_UNAVAILABLE


async def test_every_action_says_what_fits_and_where(tool: SlackTool, channel: Channel) -> None:
    actions = {one.action: one for one in await tool.list_tools()}
    for action in actions.values():
        check_action(action)
        assert action.description.endswith(f"Channels: {channel.id}")
    assert sorted(actions) == ["add_reaction", "get_thread", "post_message"]
    assert {name for name, one in actions.items() if not one.idempotent} == {"post_message"}


@pytest.mark.parametrize("channels", ["general", "#general", "C1", "D0123456789", "C012, x"])
def test_channels_are_named_by_their_ids(channels: str) -> None:
    with pytest.raises(SettingsError, match="is no id of a channel"):
        load_settings(slack_tool_channels=channels)
    assert load_settings(slack_tool_channels="C012, G345").slack_tool_channels == ("C012", "G345")
