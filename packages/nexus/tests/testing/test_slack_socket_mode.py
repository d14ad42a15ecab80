"""The Slack for tests speaks Socket Mode with the real client over real WebSockets."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from nexus.testing.slack import Channel, Delivery, Hangs, Person, Rules, SlackServer

BUTTON = {
    "type": "actions",
    "elements": [
        {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}
    ],
}


class Listener:
    """The real client; it keeps what arrives, and acknowledges while it is told to."""

    def __init__(self, slack: SlackServer, ping_interval: float = 5) -> None:
        self.requests: list[SocketModeRequest] = []
        self.heard = asyncio.Event()
        self.silent = False
        web = AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_url)
        self.client = SocketModeClient(
            app_token=slack.app.app_token, web_client=web, ping_interval=ping_interval
        )
        self.client.socket_mode_request_listeners.append(self._heard)

    async def _heard(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        self.requests.append(request)
        self.heard.set()
        if not self.silent:
            await client.send_socket_mode_response(SocketModeResponse(request.envelope_id))

    def texts(self) -> list[str]:
        """Return what was said in the messages that arrived."""
        events = [one.payload["event"] for one in self.requests if one.type == "events_api"]
        return [event["text"] for event in events if event["type"] == "message"]


@contextlib.asynccontextmanager
async def listener(slack: SlackServer, ping_interval: float = 5) -> AsyncIterator[Listener]:
    listening = Listener(slack, ping_interval)
    await listening.client.connect()  # type: ignore[no-untyped-call]  # slack_sdk leaves it so
    try:
        yield listening
    finally:
        await listening.client.close()  # type: ignore[no-untyped-call]  # slack_sdk leaves it so


def connected(slack: SlackServer, count: int) -> Callable[[], bool]:
    return lambda: slack.connections == count


async def test_a_connection_is_greeted_and_its_address_is_good_for_one(slack: SlackServer) -> None:
    web = AsyncWebClient(base_url=slack.api_url)
    opened = await web.apps_connections_open(app_token=slack.app.app_token)
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(opened["url"]) as socket:
            hello = await socket.receive_json()
            assert hello["type"] == "hello"
            assert hello["num_connections"] == 1
            assert hello["connection_info"]["app_id"] == slack.app.id
        with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
            await http.ws_connect(opened["url"])
    await slack.until(connected(slack, 0))


async def test_connections_need_the_token_of_the_app(slack: SlackServer) -> None:
    web = AsyncWebClient(base_url=slack.api_url)
    for token in (slack.app.bot_token, "xapp-1-nothing"):
        with pytest.raises(SlackApiError):
            await web.apps_connections_open(app_token=token)


async def test_events_and_clicks_arrive_in_envelopes_and_are_acknowledged(
    slack: SlackServer, client: AsyncWebClient, anna: Person, channel: Channel
) -> None:
    async with listener(slack) as app:
        await anna.say(channel, "hello")
        posted = await client.chat_postMessage(channel=channel.id, text="?", blocks=[BUTTON])
        click = await anna.click(channel.message(posted["ts"]), "Go")
        await slack.settled()
        assert click.is_taken
        assert app.texts()[0] == "hello"
        interactive = next(one for one in app.requests if one.type == "interactive")
        assert interactive.payload["type"] == "block_actions"
        assert interactive.accepts_response_payload
        event = app.requests[0]
        assert (event.type, event.accepts_response_payload) == ("events_api", False)
        assert event.payload["type"] == "event_callback"
        assert event.retry_attempt == 0
        assert all(delivery.is_taken for delivery in slack.deliveries)
        body = json.loads(slack.deliveries[0].tries[0].answer.body)
        assert body["envelope_id"] == event.envelope_id


async def test_what_is_not_acknowledged_comes_again_under_a_new_envelope() -> None:
    rules = Rules(retry_after_s=(0.0, 0.01), answer_within_s=0.05)
    async with SlackServer.running(rules=rules) as slack, listener(slack) as app:
        app.silent = True
        await slack.user("anna").tell_app("hello")
        await slack.settled()
    assert [one.retry_attempt for one in app.requests] == [0, 1, 2]
    assert [one.retry_reason for one in app.requests] == ["", "timeout", "timeout"]
    assert len({one.envelope_id for one in app.requests}) == 3
    assert len({one.payload["event_id"] for one in app.requests}) == 1
    assert not slack.deliveries[0].is_taken


async def test_several_connections_share_the_load(slack: SlackServer, anna: Person) -> None:
    async with listener(slack) as first, listener(slack) as second:
        await slack.until(connected(slack, 2))
        for number in range(10):
            await anna.tell_app(str(number))
        await slack.settled()
        assert (len(first.texts()), len(second.texts())) == (5, 5)
        assert Counter(first.texts() + second.texts()) == Counter(str(n) for n in range(10))


async def test_a_refreshed_connection_is_replaced_and_nothing_is_lost(
    slack: SlackServer, anna: Person
) -> None:
    async with listener(slack) as app:
        await slack.until(connected(slack, 1))
        await anna.tell_app("before")
        await slack.settled()
        await slack.refresh_connections()
        await slack.until(lambda: slack.calls("apps.connections.open")[1:])
        await slack.until(connected(slack, 1))
        await anna.tell_app("after")
        await slack.settled()
        assert set(app.texts()) == {"before", "after"}


@pytest.mark.parametrize("warned", [True, False])
async def test_an_ending_connection_says_so_and_is_closed(slack: SlackServer, warned: bool) -> None:
    web = AsyncWebClient(base_url=slack.api_url)
    opened = await web.apps_connections_open(app_token=slack.app.app_token)
    async with aiohttp.ClientSession() as http, http.ws_connect(opened["url"]) as socket:
        await socket.receive_json()
        ending = asyncio.create_task(slack.refresh_connections(warned=warned))
        said = [frame.json() async for frame in socket]
        await ending
    assert {one["type"] for one in said} == {"disconnect"}
    expected = ["warning", "refresh_requested"] if warned else ["refresh_requested"]
    assert [one["reason"] for one in said] == expected


async def test_whoever_is_not_connected_is_asked_again_once_it_is() -> None:
    rules = Rules(retry_after_s=(0.0, 0.3, 1.0))
    async with SlackServer.running(rules=rules) as slack:
        someone = slack.user("someone")
        async with listener(slack):
            await slack.until(connected(slack, 1))
        await slack.until(connected(slack, 0))
        await someone.tell_app("are you there?")
        (delivery,) = slack.deliveries
        await slack.until(partial(has_tries, delivery, 2))
        async with listener(slack) as app:
            await slack.settled()
            assert app.texts() == ["are you there?"]
    assert [one.answer.failure for one in delivery.tries[:2]] == ["connection_failed"] * 2


def has_tries(delivery: Delivery, count: int) -> bool:
    return len(delivery.tries) >= count


async def test_what_a_cut_connection_did_not_acknowledge_comes_again_over_the_next() -> None:
    async with SlackServer.running(rules=Rules(retry_after_s=(0.0, 0.5, 1.0))) as slack:
        async with listener(slack, ping_interval=0.05) as app:
            app.silent = True
            await slack.user("anna").tell_app("hello")
            await app.heard.wait()
            app.silent = False
            slack.cut_connections()
            await slack.settled()
        assert app.texts() == ["hello", "hello"]
    (delivery,) = slack.deliveries
    assert delivery.tries[0].answer.failure == "connection_failed"
    assert delivery.is_taken


async def test_more_connections_than_ten_are_turned_away(slack: SlackServer) -> None:
    web = AsyncWebClient(base_url=slack.api_url)
    async with aiohttp.ClientSession() as http, contextlib.AsyncExitStack() as stack:
        said = []
        for _ in range(11):
            opened = await web.apps_connections_open(app_token=slack.app.app_token)
            socket = await stack.enter_async_context(http.ws_connect(opened["url"]))
            said.append(await socket.receive_json())
        assert [one["type"] for one in said] == ["hello"] * 10 + ["disconnect"]
        assert said[-1]["reason"] == "too_many_websockets"


async def test_nonsense_from_the_app_breaks_nothing(slack: SlackServer, anna: Person) -> None:
    web = AsyncWebClient(base_url=slack.api_url)
    opened = await web.apps_connections_open(app_token=slack.app.app_token)
    async with aiohttp.ClientSession() as http, http.ws_connect(opened["url"]) as socket:
        await socket.receive_json()
        for nonsense in ("", "no JSON", "[]", '{"envelope_id": []}', '{"envelope_id": "none"}'):
            await socket.send_str(nonsense)
        await socket.send_bytes(b"\x00")
        await anna.tell_app("hello")
        envelope = await socket.receive_json()
        await socket.send_json({"envelope_id": envelope["envelope_id"], "payload": {"text": "ok"}})
        await slack.settled()
        assert slack.deliveries[0].is_taken


async def test_the_server_ends_at_once_while_calls_and_connections_are_open() -> None:
    async with asyncio.timeout(20), contextlib.AsyncExitStack() as stack:  # others wait a minute
        async with SlackServer.running() as slack:
            http = await stack.enter_async_context(aiohttp.ClientSession())
            web = AsyncWebClient(base_url=slack.api_url)
            opened = await web.apps_connections_open(app_token=slack.app.app_token)
            socket = await stack.enter_async_context(http.ws_connect(opened["url"]))
            await socket.receive_json()
            await slack.user("anna").tell_app("hello")
            await socket.receive_json()
            slack.fail("auth.test", Hangs())
            call = asyncio.create_task(http.post(f"{slack.api_url}auth.test"))
            await slack.until(lambda: slack.calls("auth.test"))
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        with pytest.raises(aiohttp.ClientConnectionError):
            await call
