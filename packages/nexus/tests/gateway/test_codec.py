"""Packets, read and written: whatever comes, it is read as what it is or refused as malformed."""

from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nexus.gateway import codec
from nexus.gateway.codec import (
    Ack,
    Close,
    Connect,
    Event,
    Leave,
    Malformed,
    Noop,
    Pong,
    decode,
)

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
NAMESPACES = st.sampled_from(["/", "/agents", "/ümlaut", "/a/b"])
fewer = settings(max_examples=40)
"""Where drawing JSON takes the time."""
IDS = st.none() | st.integers(min_value=0, max_value=10**15 - 1)


def written(kind: str, namespace: str, id_: int | None, body: Any) -> bytes:
    """Write a packet as a client does."""
    head = "" if namespace == "/" else namespace + ","
    number = "" if id_ is None else str(id_)
    return f"4{kind}{head}{number}".encode() + (b"" if body is None else orjson.dumps(body))


@fewer
@given(NAMESPACES, st.dictionaries(st.text(), JSON, max_size=3))
def test_a_wish_to_connect_is_read_with_what_it_shows(namespace: str, auth: Any) -> None:
    packet = decode(written("0", namespace, None, auth))
    assert packet == Connect(namespace=namespace, auth=auth)


@fewer
@given(NAMESPACES, st.text(), st.lists(JSON, max_size=3), IDS)
def test_an_event_is_read_with_its_arguments_and_its_id(
    namespace: str, name: str, args: list[Any], id_: int | None
) -> None:
    packet = decode(written("2", namespace, id_, [name, *args]))
    assert packet == Event(namespace=namespace, name=name, args=args, id=id_)


@fewer
@given(NAMESPACES, st.lists(JSON, max_size=3), st.integers(min_value=0, max_value=10**15 - 1))
def test_an_acknowledgement_is_read_with_its_id(namespace: str, args: list[Any], id_: int) -> None:
    assert decode(written("3", namespace, id_, args)) == Ack(namespace=namespace, id=id_, args=args)


@fewer
@given(st.sampled_from(["/agents", "/a/b"]), st.text(), JSON)
def test_an_event_that_was_written_is_read_the_same(namespace: str, name: str, data: Any) -> None:
    packet = decode(codec.event(namespace, name, data))
    assert packet == Event(namespace=namespace, name=name, args=[data])


@fewer
@given(st.sampled_from(["/agents", "/a/b"]), st.integers(0, 10**15 - 1), JSON)
def test_an_acknowledgement_that_was_written_is_read_the_same(
    namespace: str, id_: int, data: Any
) -> None:
    packet = decode(codec.ack(namespace, id_, data))
    assert packet == Ack(namespace=namespace, id=id_, args=[data])


@pytest.mark.parametrize(
    ("data", "packet"),
    [
        (b"1", Close()),
        (b"3", Pong()),
        (b"6", Noop()),
        (b"41/agents,", Leave(namespace="/agents")),
        (b"41/agents", Leave(namespace="/agents")),
        (b"41", Leave(namespace="/")),
        (b"40/agents?token=x,", Connect(namespace="/agents")),
        (codec.left("/agents"), Leave(namespace="/agents")),
        (b'42["a"]', Event(namespace="/", name="a", args=[])),
    ],
)
def test_the_other_packets_are_read_too(data: bytes, packet: codec.Packet) -> None:
    assert decode(data) == packet


@example(b"4")
@example(b"42/agents," + b"[" * 5_000)
@example(b"42/agents," + b'["x",' + b"9" * 5_000 + b"]")
@example(b'42/agents,["x",NaN]')
@example(b'42/agents,["x",1e999]')
@example(b'42/agents,["\\ud800"]')
@example('42/agents,²["x"]'.encode())
@example(b"42/agents,\xff")
@example(b"40/\xff,")
@example(b"450-")
@given(st.binary(max_size=200) | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_whatever_comes_is_a_packet_or_malformed(data: bytes) -> None:
    _is_read_or_refused(data)


_TOKENS = st.sampled_from(
    [*"0123456", "4", "42", "/agents,", "/", ",", "[", "]", "{", "}", '"x"', ":", "1", "-", "?"]
)


@given(st.lists(_TOKENS, max_size=12).map("".join))
def test_whatever_looks_like_a_packet_is_one_or_malformed(text: str) -> None:
    _is_read_or_refused(text.encode())


def _is_read_or_refused(data: bytes) -> None:
    try:
        packet = decode(data)
    except Malformed:
        return
    assert isinstance(packet, codec.Packet)


def test_a_number_beyond_64_bits_is_read_as_a_float() -> None:
    packet = decode(b'42/agents,["x",123456789012345678901234567890]')
    assert isinstance(packet, Event)
    assert packet.data == 1.2345678901234568e29


def test_the_last_of_two_equal_keys_counts() -> None:
    packet = decode(b'42/agents,["x",{"a":1,"a":2}]')
    assert isinstance(packet, Event)
    assert packet.data == {"a": 2}


def test_the_servers_packets_are_written_as_the_protocol_says() -> None:
    hello = codec.opened("s", ping_s=25.0, patience_s=20.0, max_bytes=1000)
    assert hello == (
        b'0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000}'
    )
    assert codec.connected("/agents", "s") == b'40/agents,{"sid":"s"}'
    assert codec.refused("/agents", {"message": "no"}) == b'44/agents,{"message":"no"}'
    assert codec.refused("/", {"message": "no"}) == b'44{"message":"no"}'
    assert codec.left("/agents") == b"41/agents,"
