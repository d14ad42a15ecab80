"""Fixtures: a Slack without rate limits, the real client, and an app that listens."""

from collections.abc import AsyncIterator

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from nexus.testing.slack import Channel, Person, Rules, SlackServer
from slack_app import ListeningApp, listening_app


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    rules = Rules(paced=False, retry_after_s=(0.0, 0.01, 0.02))
    async with SlackServer.running(rules=rules) as slack:
        yield slack


@pytest.fixture
def anna(slack: SlackServer) -> Person:
    return slack.user("anna")


@pytest.fixture
async def channel(slack: SlackServer, anna: Person) -> Channel:
    channel = slack.open_channel("dev", anna)
    await anna.invite_app(channel)
    return channel


@pytest.fixture
def client(slack: SlackServer) -> AsyncWebClient:
    return AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_url, timeout=5)


@pytest.fixture
async def app(slack: SlackServer) -> AsyncIterator[ListeningApp]:
    async with listening_app(slack) as app:
        yield app
