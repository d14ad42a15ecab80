"""The Slack for tests limits rates as Slack does, and fails on order."""

import asyncio
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from fake_time import FakeTime
from nexus.testing.slack import (
    CutAfter,
    CutBefore,
    Hangs,
    RateLimited,
    Refuses,
    Rules,
    ServerFails,
    SlackServer,
)


async def refused(call: Any) -> SlackApiError:
    with pytest.raises(SlackApiError) as error:
        await call
    return error.value


async def test_a_channel_takes_a_message_a_second_after_a_short_burst() -> None:
    clock = FakeTime()
    async with SlackServer.running(clock=clock, rules=Rules(posts_burst=3)) as slack:
        client = AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_url)
        dev = (await client.conversations_create(name="dev"))["channel"]["id"]
        ops = (await client.conversations_create(name="ops"))["channel"]["id"]
        for number in range(3):
            await client.chat_postMessage(channel=dev, text=str(number))
        error = await refused(client.chat_postMessage(channel=dev, text="too fast"))
        assert error.response.status_code == 429
        assert error.response["error"] == "ratelimited"
        assert error.response.headers["Retry-After"] == "1"
        await client.chat_postMessage(channel=ops, text="other channels have a pace of their own")
        clock.advance(seconds=1)
        await client.chat_postMessage(channel=dev, text="3")
        await refused(client.chat_postMessage(channel=dev, text="too fast"))
        assert [message.text for message in slack.channel("dev").messages] == ["0", "1", "2", "3"]
        clock.advance(seconds=3600)
        for _ in range(3):
            await client.chat_postMessage(channel=dev, text="a pause saves no more than a burst")
        await refused(client.chat_postMessage(channel=dev, text="too fast"))


async def test_a_method_takes_so_many_calls_a_minute_as_its_tier_says() -> None:
    clock = FakeTime()
    async with SlackServer.running(clock=clock) as slack:
        client = AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_url)
        for _ in range(20):
            await client.conversations_list()
        error = await refused(client.conversations_list())
        assert error.response.headers["Retry-After"] == "3"
        clock.advance(seconds=3)
        await client.conversations_list()
        await client.auth_test()


async def test_ordered_faults_meet_the_next_calls_and_nothing_happens(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    dev = (await client.conversations_create(name="dev"))["channel"]["id"]
    slack.fail("chat.postMessage", RateLimited(retry_after_s=7), times=2)
    slack.fail("chat.postMessage", ServerFails(status=503))
    slack.fail("chat.postMessage", Refuses(error="fatal_error"))
    for _ in range(2):
        error = await refused(client.chat_postMessage(channel=dev, text="x"))
        assert (error.response.status_code, error.response.headers["Retry-After"]) == (429, "7")
    error = await refused(client.chat_postMessage(channel=dev, text="x"))
    assert error.response.status_code == 503
    error = await refused(client.chat_postMessage(channel=dev, text="x"))
    assert error.response["error"] == "fatal_error"
    assert slack.channel("dev").messages == []
    await client.chat_postMessage(channel=dev, text="x")
    errors = [call.error for call in slack.calls("chat.postMessage")]
    assert errors == ["RateLimited", "RateLimited", "ServerFails", "Refuses", None]


async def test_a_connection_that_breaks_before_the_effect_leaves_nothing(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    client.retry_handlers.clear()
    dev = (await client.conversations_create(name="dev"))["channel"]["id"]
    slack.fail("*", CutBefore())
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.chat_postMessage(channel=dev, text="x")
    assert slack.channel("dev").messages == []


async def test_a_connection_that_breaks_after_the_effect_leaves_the_message(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    client.retry_handlers.clear()
    dev = (await client.conversations_create(name="dev"))["channel"]["id"]
    slack.fail("chat.postMessage", CutAfter())
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.chat_postMessage(channel=dev, text="x")
    assert [message.text for message in slack.channel("dev").messages] == ["x"]


async def test_a_call_that_hangs_ends_with_the_patience_of_the_caller(
    slack: SlackServer,
) -> None:
    client = AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_url)
    slack.fail("auth.test", Hangs())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.auth_test()
    await client.auth_test()


async def test_faults_can_be_forgotten(slack: SlackServer, client: AsyncWebClient) -> None:
    slack.fail("*", ServerFails(), times=100)
    slack.heal()
    await client.auth_test()
