"""What clients may rely on, held alike by our server side and by python-socketio's.

Each test runs with the Python and with the JavaScript client, against both.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from nexus.gateway.conversation import Patience
from socketio_clients import CLIENTS, Client, socketio_client
from socketio_sides import SIDES, TOKEN, Parlour, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", params=CLIENTS)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with socketio_client(request.param) as client:
        yield client


async def inside(client: Client, url: str) -> None:
    await client.connect(url, auth={"token": TOKEN})
    await client.log.until("connected")


async def test_the_token_comes_with_the_connect_packet(url: str, client: Client) -> None:
    await inside(client, url)
    assert [name for name, _ in client.log.events] == ["connect", "connected"]
    assert client.log.named("connected") == [{"hello": "you"}]


async def test_the_token_may_come_in_the_query(url: str, client: Client) -> None:
    await client.connect(url, query={"token": TOKEN})
    assert await client.log.until("connected") == {"hello": "you"}


@pytest.mark.parametrize("auth", [None, {}, {"token": "wrong"}, {"token": 7}])
async def test_a_refusal_carries_its_data(url: str, client: Client, auth: object) -> None:
    await client.connect(url, auth=auth)
    error = await client.log.until("connect_error")
    data = {"code": "unauthorized", "message": "who are you?", "retryable": False}
    assert error == {"message": "who are you?", "data": data}
    assert client.log.named("connected") == []


async def test_an_unknown_namespace_is_refused(url: str, client: Client) -> None:
    await client.connect(url, auth={"token": TOKEN}, namespace="/other")
    assert await client.log.until("connect_error")
    assert client.log.named("connect") == []


@pytest.mark.parametrize(
    "data",
    [
        {"a": [1, 2.5, None, True, {"b": "c"}]},
        "",
        0,
        None,
        [],
        "👋 grüße \u2028 日本語 \U0001f468\u200d\U0001f469",
        'quotes " and \\ backslashes, 42/agents,["x"]',
        "x" * 100_000,
    ],
)
async def test_a_call_is_acknowledged_with_its_answer(
    url: str, client: Client, data: object
) -> None:
    await inside(client, url)
    assert await client.call("echo", data) == data


async def test_what_needs_no_waiting_is_answered_while_other_calls_wait(
    url: str, client: Client, host: Parlour
) -> None:
    await inside(client, url)
    await client.emit("hold", None)
    await client.emit("greet", "nobody waits for this answer")
    assert await client.call("greet", [1, 2]) == {"hello": [1, 2]}
    assert host.visitors[0].calls == [("hold", None)]
    host.visitors[0].hold.set()


async def test_each_call_gets_its_own_answer(url: str, client: Client, host: Parlour) -> None:
    await inside(client, url)
    await client.emit("hold", None)
    for number in range(20):
        assert await client.call("echo", number) == number
    host.visitors[0].hold.set()


async def test_an_event_without_an_acknowledgement_arrives(
    url: str, client: Client, host: Parlour
) -> None:
    await inside(client, url)
    await client.emit("note", {"n": 1})
    assert await client.call("echo", 1) == 1
    assert host.visitors[0].calls == [("note", {"n": 1})]


async def test_events_of_the_server_arrive_in_order(url: str, client: Client) -> None:
    await inside(client, url)
    for number in range(10):
        await client.emit("tell", {"number": number, "text": "🎉"})
    await client.log.until("told", count=10)
    assert [told["number"] for told in client.log.named("told")] == list(range(10))


async def test_a_client_that_disconnects_is_gone(url: str, client: Client, host: Parlour) -> None:
    await inside(client, url)
    await client.disconnect()
    await host.visitors[0].is_gone.wait()


async def test_a_client_that_is_thrown_out_is_told_so(
    url: str, client: Client, host: Parlour
) -> None:
    await inside(client, url)
    await client.emit("tell", "farewell")
    await client.emit("throw_out", None)
    reason = await client.log.until("disconnect")
    assert reason in {"io server disconnect", "server disconnect"}
    assert client.log.named("told") == ["farewell"]
    await host.visitors[0].is_gone.wait()


async def test_a_binary_event_ends_the_connection(url: str, client: Client, host: Parlour) -> None:
    await inside(client, url)
    await client.emit_blob("note")
    await host.visitors[0].is_gone.wait()
    assert host.visitors[0].calls == []


async def test_a_message_beyond_the_bound_ends_the_connection(
    url: str, client: Client, host: Parlour
) -> None:
    await inside(client, url)
    await client.emit("note", "x" * 300_000)
    await client.log.until("disconnect")
    await host.visitors[0].is_gone.wait()
    assert host.visitors[0].calls == []


@pytest.mark.parametrize("side", SIDES)
async def test_an_idle_client_lives_on_pings(side: str, client: Client, host: Parlour) -> None:
    patience = Patience(connect_s=0.1, ping_s=0.1, pong_s=1)
    async with serving(side, host, patience=patience) as url:
        await inside(client, url)
        await client.log.until("ping", count=5)
        assert await client.call("echo", 1) == 1
        assert client.log.named("disconnect") == []


@pytest.mark.parametrize("side", SIDES)
async def test_a_client_comes_back_after_the_server_stopped(
    side: str, client: Client, host: Parlour
) -> None:
    async with serving(side, host) as url:
        await client.connect(url, auth={"token": TOKEN}, reconnects=True)
        await client.log.until("connected")
    port = int(url.rpartition(":")[2])
    await client.log.until("disconnect")
    async with serving(side, host, port=port):
        await client.log.until("connected", count=2)
        assert await client.call("echo", "again") == "again"
