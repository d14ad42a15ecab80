"""One port for all: Socket.IO, plain HTTP, and other WebSockets, each told from the others."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio
import uvicorn
from uvicorn.server import ServerState
from websockets.asyncio.client import connect

from eventually import eventually
from nexus.gateway.door import FrontDoor
from nexus.gateway.line import Exchange, Line
from nexus.gateway.rounds import Rounds
from raw_peer import RawPeer, frame, raw_connection
from sink import Sink
from socketio_sides import TOKEN, Parlour, serving

PATH = "/socket.io/?EIO=4&transport=websocket"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url() -> AsyncIterator[str]:
    async with serving("ours", Parlour()) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def peer(url: str) -> AsyncIterator[RawPeer]:
    async with raw_connection(url) as peer:
        yield peer


async def test_http_and_other_websockets_are_the_apps(url: str) -> None:
    async with httpx2.AsyncClient(base_url=url) as http:
        assert (await http.get("/socket.iox")).text == "hello"
    async with connect(url.replace("http", "ws") + "/live", compression=None) as other:
        assert await other.recv() == "hello"


async def test_a_connection_that_served_http_before_may_be_upgraded(peer: RawPeer) -> None:
    peer.writer.write(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await peer.answer())[0] == 200
    assert (await peer.shake_hands(PATH))[0] == 101
    await peer.until("0")
    await peer.join({"token": TOKEN})
    assert await peer.call(1, "echo", "same socket") == "same socket"


async def test_what_comes_before_the_line_has_taken_its_place_is_not_lost() -> None:
    host, sink = Parlour(), Sink()
    exchange = Exchange(host=host, rounds=Rounds(asyncio.get_running_loop()))

    async def nothing(*_: object) -> None:
        return

    config = uvicorn.Config(nothing, log_config=None)
    usher = FrontDoor(exchange, nothing).upgrade(config, ServerState(), {})
    usher.connection_made(sink)
    lines = ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    assert isinstance(usher, asyncio.Protocol)
    usher.data_received("\r\n".join([f"GET {PATH} HTTP/1.1", *lines, "", ""]).encode())
    usher.data_received(frame(f'40/agents,{{"token":"{TOKEN}"}}'.encode()))
    assert sink.protocols == []

    async def has_come() -> bool:
        return bool(host.visitors)

    await eventually(has_come, what="the visitor is let in")
    (line,) = sink.protocols
    assert isinstance(line, Line)
    line.connection_lost(None)


@pytest.mark.parametrize(
    ("query", "code", "says"),
    [
        ("EIO=4&transport=polling", 0, "websocket"),
        ("EIO=4", 0, "websocket"),
        ("EIO=3&transport=websocket", 5, "version"),
        ("transport=websocket", 5, "version"),
        ("EIO=4&transport=websocket", 3, "Upgrade"),
    ],
)
async def test_a_handshake_over_http_is_refused_in_engine_ios_words(
    url: str, query: str, code: int, says: str
) -> None:
    async with httpx2.AsyncClient(base_url=url) as http:
        for answer in (
            await http.get(f"/socket.io/?{query}"),
            await http.post(f"/socket.io?{query}", content=b"4hello"),
        ):
            assert answer.status_code == 400
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.json()["code"] == code
            assert says in answer.json()["message"]


@pytest.mark.parametrize(
    ("query", "code"), [("EIO=3&transport=websocket", 5), ("EIO=4&transport=polling", 0)]
)
async def test_an_upgrade_with_the_wrong_query_is_refused_alike(
    peer: RawPeer, query: str, code: int
) -> None:
    status, body = await peer.shake_hands(f"/socket.io/?{query}")
    assert (status, b'"code":%d' % code in body) == (400, True)


async def test_a_refused_upgrade_is_not_guessed_at(peer: RawPeer) -> None:
    lines = ["Host: localhost", "Upgrade: websocket", "Connection: Upgrade"]
    peer.writer.write("\r\n".join(["GET /socket.io/?EIO=3 HTTP/1.1", *lines, "", ""]).encode())
    status, head = await peer.answer()
    assert (status, b"\r\nX-Content-Type-Options: nosniff\r\n" in head) == (400, True)


async def test_pages_of_other_origins_are_refused(url: str) -> None:
    for origin, expected in (
        ("http://localhost", 101),
        ("https://localhost", 101),
        ("https://evil.example", 400),
        ("null", 400),
    ):
        async with raw_connection(url) as peer:
            status, body = await peer.shake_hands(PATH, f"Origin: {origin}")
            assert status == expected
            assert status == 101 or b"origin" in body


async def test_a_forwarding_proxy_may_name_the_host(peer: RawPeer) -> None:
    forwarded = "X-Forwarded-Host: agents.example"
    status, _ = await peer.shake_hands(PATH, "Origin: https://agents.example", forwarded)
    assert status == 101


@pytest.mark.parametrize("header", ["Sec-WebSocket-Version: 8", "Sec-WebSocket-Key: short"])
async def test_a_broken_upgrade_is_refused(peer: RawPeer, header: str) -> None:
    status, _ = await peer.shake_hands(PATH, header)
    assert status == 400


async def test_compression_is_never_agreed_on(url: str) -> None:
    address = url.replace("http", "ws") + PATH
    async with connect(address, compression="deflate") as client:
        assert client.protocol.extensions == []
