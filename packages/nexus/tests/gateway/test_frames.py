"""WebSocket frames, held against the library websockets, which reads and writes them too."""

import contextlib
import itertools
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from nexus.gateway import frames
from nexus.gateway.frames import CloseCode, FrameError, FrameReader, Opcode

MAX_BYTES = 300
PAYLOADS = st.binary(max_size=400)


def read_all(reader: FrameReader, pieces: list[bytes]) -> list[tuple[int, bytes]]:
    """Feed pieces and return what was read until the end or the first error."""
    messages: list[tuple[int, bytes]] = []
    for piece in pieces:
        reader.feed(piece)
        while (message := reader.next()) is not None:
            messages.append((message.opcode, message.payload))
    return messages


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at some places."""
    at = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[one:two] for one, two in itertools.pairwise(at)]


@st.composite
def conversations(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, bytes]]]:
    """Draw what a well-behaved client sends, written by websockets, and what it means."""
    client = ClientProtocol(parse_uri("ws://x/"), state=State.OPEN)
    meant: list[tuple[int, bytes]] = []
    for _ in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(["text", "fragments", "ping", "pong"]))
        if kind == "text":
            payload = draw(st.binary(max_size=MAX_BYTES))
            client.send_text(payload)
            meant.append((Opcode.TEXT, payload))
        elif kind == "fragments":
            meant.append((Opcode.TEXT, _send_fragments(draw, client, meant)))
        else:
            payload = draw(st.binary(max_size=125))
            (client.send_ping if kind == "ping" else client.send_pong)(payload)
            meant.append((Opcode.PING if kind == "ping" else Opcode.PONG, payload))
    return b"".join(client.data_to_send()), meant


def _send_fragments(draw: st.DrawFn, client: ClientProtocol, meant: list[Any]) -> bytes:
    parts = draw(st.lists(st.binary(max_size=MAX_BYTES // 6), min_size=2, max_size=5))
    client.send_text(parts[0], fin=False)
    for part in parts[1:-1]:
        client.send_continuation(part, fin=False)
        if draw(st.booleans()):
            client.send_ping(b"between")
            meant.append((Opcode.PING, b"between"))
    client.send_continuation(parts[-1], fin=True)
    return b"".join(parts)


@given(conversations(), st.lists(st.integers(0, 10_000), max_size=8))
def test_messages_are_read_however_the_network_cuts_them(
    talk: tuple[bytes, list[tuple[int, bytes]]], places: list[int]
) -> None:
    data, meant = talk
    assert read_all(FrameReader(MAX_BYTES), cut(data, places)) == meant


@given(st.lists(st.binary(max_size=60) | st.binary(min_size=2, max_size=2), max_size=6))
def test_whatever_comes_is_read_or_refused_with_a_code(pieces: list[bytes]) -> None:
    with contextlib.suppress(FrameError):
        read_all(FrameReader(MAX_BYTES), pieces)


@st.composite
def bad_conversations(draw: st.DrawFn) -> bytes:
    """Draw frames whose head may be wrong in any way."""
    data = b""
    for _ in range(draw(st.integers(1, 4))):
        payload = draw(st.binary(max_size=200))
        first = draw(
            st.sampled_from([0x81, 0x01, 0x00, 0x80, 0x89, 0x8A, 0x88]) | st.integers(0, 255)
        )
        mask = draw(st.binary(min_size=4, max_size=4))
        masked = draw(st.sampled_from([0x80, 0x80, 0x80, 0x00]))
        size = len(payload)
        head = bytes([masked | size]) if size < 126 else bytes([masked | 126]) + size.to_bytes(2)
        data += bytes([first]) + head + (mask if masked else b"") + payload
    return data


@example(bytes.fromhex("018000000000888000000000"))
@given(bad_conversations())
def test_what_websockets_refuses_is_refused_and_what_it_reads_is_read(data: bytes) -> None:
    """Except binary, which only we refuse, and texts, which only it decodes right here."""
    theirs = ServerProtocol(state=State.OPEN, max_size=MAX_BYTES)
    theirs.receive_data(data)
    expected = [
        (int(frame.opcode), bytes(frame.data), frame.fin)
        for frame in theirs.events_received()
        if isinstance(frame, Frame)
    ]
    reader, read, error = FrameReader(MAX_BYTES), [], None
    reader.feed(data)
    try:
        while (message := reader.next()) is not None and message.opcode != Opcode.CLOSE:
            read.append((message.opcode, message.payload))
    except FrameError as refusal:
        error = refusal
    if error is not None and error.code is CloseCode.UNSUPPORTED_DATA:
        return
    assert read == _messages(expected)
    assert (error is None) is (theirs.parser_exc is None), (error, theirs.parser_exc)


def _messages(frames_read: list[tuple[int, bytes, bool]]) -> list[tuple[int, bytes]]:
    messages, parts = [], b""
    for opcode, data, fin in frames_read:
        if opcode in {Opcode.PING, Opcode.PONG}:
            messages.append((int(opcode), data))
        elif opcode != Opcode.CLOSE:
            parts += data
            if fin:
                messages.append((int(Opcode.TEXT), parts))
                parts = b""
    return messages


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 300_000])
def test_what_we_write_is_read_by_websockets(size: int) -> None:
    client = ClientProtocol(parse_uri("ws://x/"), state=State.OPEN)
    client.receive_data(frames.text(b"x" * size))
    (frame,) = client.events_received()
    assert isinstance(frame, Frame)
    assert (int(frame.opcode), len(frame.data), frame.fin) == (Opcode.TEXT, size, True)


def test_a_reason_is_cut_to_what_a_close_frame_holds_between_characters() -> None:
    client = ClientProtocol(parse_uri("ws://x/"), state=State.OPEN)
    client.receive_data(frames.close(CloseCode.GOING_AWAY, "ü" * 100))
    assert client.close_rcvd is not None
    assert (client.close_rcvd.code, client.close_rcvd.reason) == (1001, "ü" * 61)
