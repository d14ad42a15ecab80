"""Where WebSocket frames of a client are read, and those for it are written; no I/O here.

RFC 6455, server side, without extensions, so that nothing is ever compressed. Messages are taken
one by one with :meth:`FrameReader.next`, so whoever is busy leaves the rest where it is.
"""

from enum import IntEnum
from typing import NamedTuple

try:
    from websockets.speedups import apply_mask
except ImportError:  # built without a compiler
    from websockets.utils import apply_mask

_FINAL = 0x80
_RESERVED = 0x70
_MASKED = 0x80
_CONTROL = 0x08
_MAX_CONTROL = 125


class Opcode(IntEnum):
    """What a frame is (RFC 6455, section 11.8)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """Why a connection is closed (RFC 6455, section 7.4.1)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012


_CONTROLS = frozenset({Opcode.CLOSE, Opcode.PING, Opcode.PONG})


class FrameError(Exception):
    """A peer broke the protocol; close the connection with ``code`` and the message."""

    def __init__(self, code: CloseCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Message(NamedTuple):
    """A whole message or a control frame; of a text, it is not yet known whether it is UTF-8."""

    opcode: int
    payload: bytes


class FrameReader:
    """Reads one connection; holds at most what one message may take and one piece of input."""

    __slots__ = ("_at", "_buffer", "_fragments", "_max_bytes")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer: bytes | bytearray = b""
        self._at = 0
        self._fragments: bytearray | None = None

    def feed(self, data: bytes) -> None:
        """Add what came from the network."""
        rest = len(self._buffer) - self._at
        if not rest:
            self._buffer = data
        else:
            if isinstance(self._buffer, bytes):
                self._buffer = bytearray(self._buffer)
            del self._buffer[: self._at]
            self._buffer += data
        self._at = 0

    def next(self) -> Message | None:
        """Return the next message or control frame; None when more has to come first.

        Raises:
            FrameError: the peer broke the protocol; nothing more can be read.
        """
        while (frame := self._frame()) is not None:
            first, payload = frame
            if first == _FINAL | Opcode.TEXT and self._fragments is None:
                return Message(Opcode.TEXT, payload)
            message = self._whole(first, payload)
            if message is not None:
                return message
        return None

    def _frame(self) -> tuple[int, bytes] | None:
        """Take the next frame's first byte and its payload, unmasked."""
        buffer, at = self._buffer, self._at
        there = len(buffer) - at
        if there < 2:
            return None
        first, second = buffer[at], buffer[at + 1]
        head, size = 2, second & 0x7F
        if size > _MAX_CONTROL:
            head = 4 if size == 126 else 10
            if there < head:
                return None
            size = int.from_bytes(buffer[at + 2 : at + head])
        self._check(first, second, size)
        start = at + head + 4
        end = start + size
        if len(buffer) < end:
            return None
        payload = apply_mask(buffer[start:end], buffer[start - 4 : start])
        self._at = end
        if end == len(buffer):
            self._buffer, self._at = b"", 0
        return first, payload

    def _check(self, first: int, second: int, size: int) -> None:
        if first & _RESERVED:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "reserved bits are set")
        if not second & _MASKED:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "a client has to mask its frames")
        if first & _CONTROL:
            if size > _MAX_CONTROL or not first & _FINAL:
                raise FrameError(CloseCode.PROTOCOL_ERROR, "a control frame is short and whole")
        elif size + len(self._fragments or ()) > self._max_bytes:
            raise FrameError(CloseCode.TOO_BIG, f"a message has at most {self._max_bytes} bytes")

    def _whole(self, first: int, payload: bytes) -> Message | None:
        """Return a control frame, or the message that this frame completes."""
        opcode = first & 0x0F
        if opcode == Opcode.CLOSE:
            _check_close(payload)
            if self._fragments is not None:
                raise FrameError(CloseCode.PROTOCOL_ERROR, "a message was left unfinished")
        if opcode in _CONTROLS:
            return Message(opcode, payload)
        if opcode == Opcode.BINARY:
            raise FrameError(CloseCode.UNSUPPORTED_DATA, "binary is not supported; send text")
        if opcode > Opcode.BINARY:
            raise FrameError(CloseCode.PROTOCOL_ERROR, f"there is no opcode {opcode}")
        if (opcode == Opcode.CONTINUATION) is (self._fragments is None):
            raise FrameError(CloseCode.PROTOCOL_ERROR, "fragments of a message are out of order")
        whole = self._fragments = self._fragments or bytearray()
        whole += payload
        if not first & _FINAL:
            return None
        self._fragments = None
        return Message(Opcode.TEXT, bytes(whole))


def _check_close(payload: bytes) -> None:
    """Refuse what RFC 6455, section 7.4, forbids a peer to close with."""
    code = int.from_bytes(payload[:2])
    is_known = 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
    if payload and (len(payload) == 1 or not is_known):
        raise FrameError(CloseCode.PROTOCOL_ERROR, "nobody closes with such a code")
    try:
        payload[2:].decode()
    except UnicodeDecodeError as error:
        raise FrameError(CloseCode.INVALID_DATA, "the reason is not UTF-8") from error


def text(payload: bytes) -> bytes:
    """Write a text message of UTF-8 bytes."""
    return _header(Opcode.TEXT, len(payload)) + payload


def pong(payload: bytes) -> bytes:
    """Answer a ping."""
    return _header(Opcode.PONG, len(payload)) + payload


def close(code: int, reason: str = "") -> bytes:
    """Write a close frame; of a reason that is too long only the beginning is sent."""
    said = reason.encode()[: _MAX_CONTROL - 2].decode(errors="ignore").encode()
    return _header(Opcode.CLOSE, 2 + len(said)) + code.to_bytes(2) + said


def _header(opcode: Opcode, size: int) -> bytes:
    if size < 126:
        return bytes((_FINAL | opcode, size))
    if size < 1 << 16:
        return b"%c\x7e%b" % (_FINAL | opcode, size.to_bytes(2))
    return b"%c\x7f%b" % (_FINAL | opcode, size.to_bytes(8))
