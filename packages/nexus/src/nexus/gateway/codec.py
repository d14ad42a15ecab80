"""Where packets are read and written: Engine.IO 4 around Socket.IO 5, text alone; no I/O here.

Sources: https://github.com/socketio/engine.io-protocol (revision 4) and
https://github.com/socketio/socket.io-protocol (revision 5). A packet arrives in one WebSocket
text message, here as its UTF-8 bytes. Binary packets are refused: their attachments would pile up.
"""

import functools
import re
from dataclasses import dataclass, field
from typing import Any

import orjson

PING = b"2"
"""What Engine.IO's server sends now and then; a client answers ``3``."""
_MAX_ID_DIGITS = 15
_BINARY = (b"5", b"6")
_MESSAGE = re.compile(rb"4([0-6])(?:(/[^,]*)(?:,|\Z))?([0-9]*)")


class Malformed(Exception):
    """What came is no packet that a client may send; the message says why."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping."""


@dataclass(frozen=True, slots=True)
class Noop:
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Close:
    """The client ends the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """A client wants into a namespace; ``auth`` is whatever it shows for it."""

    namespace: str
    auth: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """A client leaves a namespace."""

    namespace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event with its arguments; with an ``id`` its sender waits for an acknowledgement."""

    namespace: str
    name: str
    args: list[Any]
    id: int | None = None
    text: bytes = field(default=b"", compare=False)
    """The JSON that name and arguments were read from."""

    @property
    def data(self) -> Any:
        """The first argument; None where there is none."""
        return self.args[0] if self.args else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """The acknowledgement of an event."""

    namespace: str
    id: int
    args: list[Any]


Packet = Pong | Noop | Close | Connect | Leave | Event | Ack
_BARE: dict[bytes, Packet] = {b"1": Close(), b"3": Pong(), b"6": Noop()}


def decode(data: bytes) -> Packet:
    """Read one packet of a client.

    Raises:
        Malformed: it is none that a client may send, and nothing else is ever raised.
    """
    head = _MESSAGE.match(data)
    if head is None:
        bare = _BARE.get(data)
        if bare is None:
            raise Malformed(f"no packet begins with {data[:2]!r}")
        return bare
    kind, path, digits = head.groups()
    if kind in _BINARY:
        raise Malformed("binary packets are not supported; send JSON")
    namespace = _namespace(path)
    id_ = _id(digits)
    text = data[head.end() :]
    body = _json(text)
    match kind:
        case b"0":
            return Connect(namespace=namespace, auth=body)
        case b"1":
            return Leave(namespace=namespace)
        case b"2":
            return _event(namespace, body, id_, text)
        case b"3":
            return _ack(namespace, body, id_)
    raise Malformed("only a server refuses a connection")


def opened(sid: str, *, ping_s: float, patience_s: float, max_bytes: int) -> bytes:
    """Write Engine.IO's handshake, the first packet of all."""
    handshake = {
        "sid": sid,
        "upgrades": [],
        "pingInterval": round(ping_s * 1000),
        "pingTimeout": round(patience_s * 1000),
        "maxPayload": max_bytes,
    }
    return b"0" + orjson.dumps(handshake)


def connected(namespace: str, sid: str) -> bytes:
    """Let a client into a namespace."""
    return b"40%b,%b" % (namespace.encode(), orjson.dumps({"sid": sid}))


def refused(namespace: str, error: dict[str, Any]) -> bytes:
    """Refuse a client's wish to come into a namespace; ``error`` has a ``message``."""
    return _message(b"44", namespace, orjson.dumps(error))


def left(namespace: str) -> bytes:
    """Put a client out of a namespace."""
    return _message(b"41", namespace, b"")


def event(namespace: str, name: str, argument: Any) -> bytes:
    """Write an event with one argument that expects no acknowledgement.

    Raises:
        TypeError: the argument is not JSON.
    """
    return b"42%b,%b" % (namespace.encode(), orjson.dumps((name, argument)))


def ack(namespace: str, id_: int, argument: Any) -> bytes:
    """Acknowledge an event with one argument.

    Raises:
        TypeError: the argument is not JSON.
    """
    return b"43%b,%d%b" % (namespace.encode(), id_, orjson.dumps((argument,)))


def _message(kind: bytes, namespace: str, body: bytes) -> bytes:
    prefix = b"" if namespace == "/" else namespace.encode() + b","
    return kind + prefix + body


@functools.lru_cache(maxsize=16)
def _namespace(path: bytes | None) -> str:
    if path is None:
        return "/"
    try:
        return path.partition(b"?")[0].decode()
    except UnicodeDecodeError as error:
        raise Malformed("the namespace is not UTF-8") from error


def _id(digits: bytes) -> int | None:
    if len(digits) > _MAX_ID_DIGITS:
        raise Malformed(f"an id has at most {_MAX_ID_DIGITS} digits")
    return int(digits) if digits else None


def _json(text: bytes) -> Any:
    if not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the packet's data is not JSON: {error.msg}") from error


def _event(namespace: str, body: Any, id_: int | None, text: bytes) -> Event:
    if not isinstance(body, list) or not body or not isinstance(body[0], str):
        raise Malformed("an event is an array that begins with the event's name")
    return Event(namespace=namespace, name=body[0], args=body[1:], id=id_, text=text)


def _ack(namespace: str, body: Any, id_: int | None) -> Ack:
    if not isinstance(body, list) or id_ is None:
        raise Malformed("an acknowledgement has the event's id and an array")
    return Ack(namespace=namespace, id=id_, args=body)
