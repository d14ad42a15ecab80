"""What a peer that speaks by hand sees, frame by frame, of our server side and of the reference."""

from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio

from eventually import eventually
from nexus.gateway.conversation import Patience
from raw_peer import BINARY, CLOSE, PING, PONG, TEXT, frame, raw_connection, raw_peer
from socketio_sides import SIDES, TOKEN, Parlour, serving

SHOWS_TOKEN = {"token": TOKEN}
CONTINUATION = 0x0


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ours(parlour: Parlour) -> AsyncIterator[str]:
    async with serving("ours", parlour, patience=Patience(linger_s=0.1)) as url:
        yield url


# --- what both sides do ---------------------------------------------------------------------------


async def test_the_handshake_tells_what_clients_need(url: str) -> None:
    async with raw_connection(url) as peer:
        assert (await peer.shake_hands("/socket.io/?EIO=4&transport=websocket"))[0] == 101
        handshake = orjson.loads((await peer.until("0"))[1:])
    assert handshake.pop("sid")
    assert handshake == {
        "upgrades": [],
        "pingInterval": 45_000,
        "pingTimeout": 20_000,
        "maxPayload": 262_144,
    }


async def test_acknowledgements_carry_the_ids_of_their_calls(url: str) -> None:
    async with raw_peer(url) as peer:
        await peer.join(SHOWS_TOKEN)
        for number in (0, 7, 123_456_789_012):
            assert await peer.call(number, "echo", number) == number


async def test_the_query_of_a_namespace_is_ignored(url: str) -> None:
    async with raw_peer(url) as peer:
        peer.send(f'40/agents?token=x,{{"token":"{TOKEN}"}}')
        await peer.until('42/agents,["connected"')


async def test_a_refused_client_may_ask_again(url: str) -> None:
    async with raw_peer(url) as peer:
        peer.send('40/agents,{"token":"wrong"}')
        await peer.until("44/agents,{")
        await peer.join(SHOWS_TOKEN)
        assert await peer.call(1, "echo", "in") == "in"


async def test_an_unknown_namespace_is_refused_by_its_name(url: str) -> None:
    async with raw_peer(url) as peer:
        peer.send("40/other,{}")
        await peer.until("44/other,")
        await peer.join(SHOWS_TOKEN)


async def test_a_call_before_the_namespace_let_the_client_in_is_not_carried_out(
    url: str, host: Parlour
) -> None:
    async with raw_peer(url) as peer:
        peer.send('42/agents,1["note",{}]')
        peer.send('42["note",{}]')
    async with raw_peer(url) as peer:
        await peer.join(SHOWS_TOKEN)
        assert await peer.call(1, "echo", 1) == 1
    assert host.visitors[0].calls == []


async def test_a_packet_that_ends_the_talk_ends_the_stay(url: str, host: Parlour) -> None:
    for number, packet in enumerate(["1", "41/agents,"]):
        async with raw_peer(url) as peer:
            await peer.join(SHOWS_TOKEN)
            peer.send(packet)
            await host.visitors[number].is_gone.wait()


async def test_a_cut_without_a_word_ends_the_stay(url: str, host: Parlour) -> None:
    async with raw_peer(url) as peer:
        await peer.join(SHOWS_TOKEN)
    await host.visitors[0].is_gone.wait()


async def test_a_message_may_come_in_fragments_with_a_ping_between(url: str) -> None:
    async with raw_peer(url) as peer:
        await peer.join(SHOWS_TOKEN)
        whole = '42/agents,5["echo","ü"]'.encode()
        peer.writer.write(frame(whole[:-3], first=TEXT))
        peer.writer.write(frame(b"are you there", PING))
        peer.writer.write(frame(whole[-3:-2], first=CONTINUATION))
        peer.writer.write(frame(whole[-2:], first=0x80 | CONTINUATION))
        assert await peer.receive() == (PONG, b"are you there")
        assert await peer.until("43/agents,5") == '43/agents,5["ü"]'.encode()


async def test_a_message_may_come_byte_by_byte(url: str) -> None:
    async with raw_peer(url) as peer:
        await peer.join(SHOWS_TOKEN)
        for byte in frame(b'42/agents,5["echo",1]'):
            peer.writer.write(bytes([byte]))
            await peer.writer.drain()
        assert await peer.until("43/agents,5") == b"43/agents,5[1]"


async def test_a_client_that_closes_is_answered_with_its_own_code(url: str) -> None:
    async with raw_peer(url) as peer:
        await peer.join(SHOWS_TOKEN)
        peer.writer.write(frame((1001).to_bytes(2) + b"tab closed", CLOSE))
        assert (await peer.until_closed())[0] == 1001


async def test_stopping_closes_with_the_code_that_brings_clients_back(host: Parlour) -> None:
    for side in SIDES:
        async with serving(side, host, patience=Patience(linger_s=0.1)) as url:
            peer_connection = raw_peer(url)
            peer = await peer_connection.__aenter__()
            await peer.join(SHOWS_TOKEN)
        assert (await peer.until_closed())[0] == 1012
        await peer_connection.__aexit__(None, None, None)


# --- where ours is stricter, as the original in JavaScript is, or says more -----------------------


@pytest.mark.parametrize(
    ("packet", "says"),
    [
        ('42/agents,["note"]', "before"),
        ("40/agents,{}}", "JSON"),
        ("2", "no packet"),
        ("2probe", "no packet"),
        ("5", "no packet"),
        ("", "no packet"),
        ("4", "no packet"),
        ("49", "no packet"),
        ("44/agents,{}", "server"),
        ('451-["x",{"_placeholder":true,"num":0}]', "binary"),
        ("42/agents,", "array"),
        ("42/agents,{}", "array"),
        ("42/agents,[]", "array"),
        ("42/agents,[1]", "array"),
        ('42/agents,1234567890123456["x"]', "digits"),
        ('42/agents,²["x"]', "JSON"),
        ("43/agents,[1]", "acknowledgement"),
        ('42/agents,["x",NaN]', "JSON"),
        ('42/agents,["x","\\ud800"]', "JSON"),
        ("42/agents," + "[" * 100_000, "JSON"),
    ],
)
async def test_whoever_sends_what_is_no_packet_is_told_and_hung_up_on(
    ours: str, host: Parlour, packet: str, says: str
) -> None:
    async with raw_peer(ours) as peer:
        peer.send(packet)
        code, reason = await peer.until_closed()
    assert code == 1008
    assert says in reason


async def test_the_main_namespace_is_refused_as_any_other(ours: str) -> None:
    async with raw_peer(ours) as peer:
        peer.send("40")
        assert (await peer.until("44")).startswith(b'44{"message":')


async def test_who_is_let_in_after_it_left_is_gone_at_once(ours: str, host: Parlour) -> None:
    host.door.clear()
    async with raw_peer(ours) as peer:
        peer.send(f'40/agents,{{"token":"{TOKEN}"}}')
        peer.send("41/agents,")
        await peer.until_closed()
    host.door.set()

    async def has_come() -> bool:
        return bool(host.visitors)

    await eventually(has_come, what="the visitor is let in")
    await host.visitors[0].is_gone.wait()


async def test_whoever_asks_in_twice_is_hung_up_on(ours: str, host: Parlour) -> None:
    async with raw_peer(ours) as peer:
        await peer.join(SHOWS_TOKEN)
        peer.send("40/agents,{}")
        assert (await peer.until_closed())[0] == 1008
    await host.visitors[0].is_gone.wait()
    assert len(host.visitors) == 1


BREAKS = {
    "unmasked": (1002, frame(b"3", masked=False)),
    "reserved bit": (1002, frame(b"3", first=0xC1)),
    "unknown data opcode": (1002, frame(b"3", first=0x83)),
    "unknown control opcode": (1002, frame(b"3", first=0x8B)),
    "continuation of nothing": (1002, frame(b"3", first=0x80)),
    "message within a message": (1002, frame(b"3", first=TEXT) + frame(b"3")),
    "fragmented ping": (1002, frame(b"p", first=PING)),
    "long ping": (1002, frame(b"p" * 126, PING)),
    "binary": (1003, frame(b"\x01", BINARY)),
    "too long": (1009, frame(b"x" * 262_145)),
    "said to be endless": (1009, b"\x81\xff" + b"\xff" * 8 + b"mask"),
    "too long in fragments": (
        1009,
        frame(b"x" * 262_144, first=TEXT) + frame(b"x", first=CONTINUATION),
    ),
    "no UTF-8": (1008, frame(b'42/agents,["x","\xff"]')),
    "no UTF-8 in the namespace": (1008, frame(b"40/\xff,")),
}


@pytest.mark.parametrize("how", BREAKS)
async def test_whoever_breaks_websocket_is_told_by_the_code(ours: str, how: str) -> None:
    code, data = BREAKS[how]
    async with raw_peer(ours) as peer:
        peer.writer.write(data)
        assert (await peer.until_closed())[0] == code


async def test_a_message_as_large_as_the_bound_is_taken(ours: str) -> None:
    async with raw_peer(ours) as peer:
        await peer.join(SHOWS_TOKEN)
        text = "x" * (262_144 - len('42/agents,1["echo",""]'))
        assert await peer.call(1, "echo", text) == text


async def test_endless_empty_fragments_take_no_room(ours: str) -> None:
    async with raw_peer(ours) as peer:
        await peer.join(SHOWS_TOKEN)
        peer.writer.write(frame(b'42/agents,1["echo",1', first=TEXT))
        for _ in range(100):
            peer.writer.write(frame(b"", first=CONTINUATION) * 100)
            await peer.writer.drain()
        peer.writer.write(frame(b"]", first=0x80))
        assert await peer.until("43/agents,1") == b"43/agents,1[1]"


async def test_whoever_does_not_ask_in_is_hung_up_on(host: Parlour) -> None:
    async with (
        serving("ours", host, patience=Patience(connect_s=0.1)) as url,
        raw_peer(url) as peer,
        raw_peer(url) as other,
    ):
        await other.join(SHOWS_TOKEN)
        code, reason = await peer.until_closed()
        assert (code, "CONNECT" in reason) == (1008, True)
        assert await other.call(1, "echo", 1) == 1


async def test_whoever_leaves_a_ping_unanswered_is_hung_up_on(host: Parlour) -> None:
    patience = Patience(connect_s=0.1, ping_s=0.1)
    async with serving("ours", host, patience=patience) as url, raw_peer(url) as peer:
        await peer.join(SHOWS_TOKEN)
        code, reason = await peer.until_closed()
        assert (code, "ping" in reason) == (1001, True)
        await host.visitors[0].is_gone.wait()


async def test_the_last_words_arrive_although_the_client_is_still_talking(
    ours: str, host: Parlour
) -> None:
    async with raw_peer(ours) as peer:
        await peer.join(SHOWS_TOKEN)
        visitor = host.visitors[0]
        await visitor.outlet.send("told", {"last": "words"})
        await visitor.outlet.close()
        for _ in range(200):
            peer.send('42/agents,["note",{}]')
        await peer.writer.drain()
        await peer.until('42/agents,["told",{"last":"words"}]')
        await peer.until("41/agents,")
        assert (await peer.until_closed())[0] == 1000
    assert visitor.calls == []


async def test_a_peer_that_never_closes_its_side_is_cut_after_a_while(
    ours: str, host: Parlour
) -> None:
    async with raw_peer(ours) as peer:
        await peer.join(SHOWS_TOKEN)
        await host.visitors[0].outlet.close()
        await peer.until_cut()


@pytest.mark.parametrize("reason", [b"\x03", b"\x00\x00", (1005).to_bytes(2), (1006).to_bytes(2)])
async def test_whoever_closes_with_no_such_code_is_told_so(ours: str, reason: bytes) -> None:
    async with raw_peer(ours) as peer:
        peer.writer.write(frame(reason, CLOSE))
        assert (await peer.until_closed())[0] == 1002
