"""Where Socket.IO frames are written and read by hand: the few that an agent needs."""

import random
from typing import Any

import orjson

NAMESPACE = b"/agents,"
PING, PONG = b"2", b"3"
OPEN, CONNECT, EVENT, ACK, REFUSED = b"0", b"40", b"42", b"43", b"44"
_MOMENT = "2026-01-01T00:00:00.000Z"


def connect(token: str) -> bytes:
    """Return the frame that joins the namespace."""
    return CONNECT + NAMESPACE + orjson.dumps({"token": token})


def call(type_: str, payload: dict[str, Any], number: int | None = None) -> bytes:
    """Return a call in its envelope; with a number it is to be acknowledged under that."""
    envelope = {"type": type_, "payload": payload, "timestamp": _MOMENT, "id": _unique()}
    asked = b"" if number is None else str(number).encode()
    return EVENT + NAMESPACE + asked + orjson.dumps([type_, envelope])


def event(frame: bytes) -> tuple[str, dict[str, Any]]:
    """Return name and data of an event."""
    name, data = orjson.loads(frame[frame.index(b"[") :])
    return name, data


def ack(frame: bytes) -> tuple[int, dict[str, Any]]:
    """Return number and answer of an acknowledgement."""
    start = frame.index(b"[")
    answers = orjson.loads(frame[start:])
    return int(frame[len(ACK + NAMESPACE) : start]), answers[0] if answers else {}


def _unique() -> str:
    """Return an id in the shape of a UUID, which is what the SDK sends."""
    text = f"{random.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
