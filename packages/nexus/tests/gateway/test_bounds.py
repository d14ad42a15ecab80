"""What one connection may take up, and what becomes of it beyond that, while others go on."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from eventually import eventually
from nexus.delivery import OutletClosed
from nexus.gateway.line import Bounds
from raw_peer import RawPeer, raw_connection, raw_peer
from socketio_sides import TOKEN, Parlour, Talker, serving

LOOPS = ("asyncio", "uvloop")
SHOWS_TOKEN = {"token": TOKEN}
SMALL = {"text": "x" * 1_000}
WAITS_S = 0.6
BIG = {"text": "x" * 60_000}


@pytest.fixture
def host() -> Parlour:
    return Parlour()


@pytest.fixture
async def url(host: Parlour) -> AsyncIterator[str]:
    async with serving("ours", host, bounds=Bounds(stall_s=WAITS_S)) as url:
        yield url


def held(talker: Talker) -> int:
    """Return how many bytes wait for the agent in the process."""
    outlet: Any = talker.outlet
    return int(outlet._transport.get_write_buffer_size())


async def stop_reading(peer: RawPeer, host: Parlour) -> Talker:
    """Join, then read no more, with as small a receive buffer as there can be."""
    await peer.join(SHOWS_TOKEN)
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's has it
    return host.visitors[-1]


async def fill_socket(talker: Talker) -> None:
    """Send until the kernel takes no more, so that what comes next waits in the process."""
    while not held(talker):
        await talker.outlet.send("fill", SMALL)
        await asyncio.sleep(0)


async def test_hints_are_sent_without_waiting_until_the_agent_is_cut(
    url: str, host: Parlour
) -> None:
    async with raw_peer(url) as deaf, raw_peer(url) as other:
        talker = await stop_reading(deaf, host)
        await other.join(SHOWS_TOKEN)
        await fill_socket(talker)
        with pytest.raises(OutletClosed, match="256 messages"):
            await _send_hints(talker, {"small": 1}, count=300)
        await talker.is_gone.wait()
        assert await other.call(1, "echo", "still here") == "still here"


async def test_bytes_are_bounded_as_events_are(url: str, host: Parlour) -> None:
    async with raw_peer(url) as deaf:
        talker = await stop_reading(deaf, host)
        with pytest.raises(OutletClosed, match=r"\d\d messages \(1\d{6} bytes\) unread"):
            await _send_hints(talker, BIG, count=1_000)


async def test_a_stored_event_waits_for_an_agent_that_reads_slowly(url: str, host: Parlour) -> None:
    async with raw_peer(url) as slow:
        talker = await stop_reading(slow, host)
        sending = asyncio.create_task(_send_stored(talker, count=200))

        async def is_full() -> bool:
            return held(talker) >= 1024 * 1024 - 120_000

        await eventually(is_full, what="the outlet is full")
        slow.writer.transport.resume_reading()  # type: ignore[attr-defined]  # a socket's has it
        for number in range(200):
            assert f'"seq":{number}'.encode() in await slow.until('42/agents,["stored"')
        await sending


async def test_a_stored_event_does_not_wait_for_one_that_takes_nothing(
    url: str, host: Parlour
) -> None:
    async with raw_peer(url) as deaf:
        talker = await stop_reading(deaf, host)
        with pytest.raises(OutletClosed, match="unread"):
            await _send_stored(talker, count=1_000)
        await talker.is_gone.wait()


async def test_a_burst_for_an_agent_that_reads_is_no_offence(url: str, host: Parlour) -> None:
    async with raw_peer(url) as peer:
        await peer.join(SHOWS_TOKEN)
        reading = asyncio.create_task(_read(peer, "hint", count=2_000))
        for number in range(2_000):
            await host.visitors[0].outlet.send("hint", {"number": number})
        await reading


async def test_flushing_waits_until_everything_is_written(url: str, host: Parlour) -> None:
    async with raw_peer(url) as peer:
        talker = await stop_reading(peer, host)
        await talker.outlet.flush()
        await fill_socket(talker)
        flushing = asyncio.create_task(talker.outlet.flush())
        done, _ = await asyncio.wait({flushing}, timeout=0.1)
        assert not done
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]  # a socket's has it
        await _read(peer, "fill", count=1)
        await flushing
        assert held(talker) == 0


async def test_flushing_ends_with_the_connection(url: str, host: Parlour) -> None:
    async with raw_peer(url) as peer:
        talker = await stop_reading(peer, host)
        await fill_socket(talker)
        flushing = asyncio.create_task(talker.outlet.flush())
        peer.writer.transport.abort()
        await flushing
        with pytest.raises(OutletClosed):
            await talker.outlet.send("hint", {})
        await talker.outlet.close()


@pytest.mark.parametrize("bounds", [Bounds(calls=8), Bounds(call_bytes=8 * 1000)])
async def test_calls_beyond_the_bound_wait_in_the_socket(host: Parlour, bounds: Bounds) -> None:
    async with serving("ours", host, bounds=bounds) as url, raw_peer(url) as peer:
        await peer.join(SHOWS_TOKEN)
        for number in range(50):
            peer.send(f'42/agents,{number}["hold","{"x" * 980}"]')
        talker = host.visitors[0]

        async def eight_are_held() -> bool:
            return len(talker.calls) == 8

        await eventually(eight_are_held, what="eight calls are under way")
        async with raw_peer(url) as other:
            await other.join(SHOWS_TOKEN)
            assert await other.call(1, "echo", 1) == 1
        assert len(talker.calls) == 8
        talker.hold.set()
        for number in range(50):
            await peer.until(f"43/agents,{number}[")


async def test_an_agent_that_does_not_read_its_answers_is_not_asked_for_more(
    url: str, host: Parlour
) -> None:
    async with raw_connection(url) as peer:
        raw: socket.socket = peer.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        await peer.shake_hands("/socket.io/?EIO=4&transport=websocket")
        talker = await stop_reading(peer, host)
        call = f'42/agents,1["echo","{"x" * 50_000}"]'.encode()
        sending = asyncio.create_task(_send_without_end(peer, call))
        _, pending = await asyncio.wait({sending}, timeout=1.0)
        assert pending, "the connection was cut"
        assert held(talker) < 1024 * 1024
        sending.cancel()


async def _send_hints(talker: Talker, hint: dict[str, Any], *, count: int) -> None:
    async with asyncio.timeout(WAITS_S / 2):
        for _ in range(count):
            await talker.outlet.send("hint", hint)


async def _send_without_end(peer: RawPeer, call: bytes) -> None:
    while True:
        peer.send(call)
        await peer.writer.drain()


async def _send_stored(talker: Talker, *, count: int) -> None:
    for number in range(count):
        await talker.outlet.send("stored", {**BIG, "seq": number})


async def _read(peer: RawPeer, name: str, *, count: int) -> None:
    for _ in range(count):
        await peer.until(f'42/agents,["{name}"')
