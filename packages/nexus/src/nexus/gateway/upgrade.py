"""Where it is judged whether a request may become a connection of Engine.IO; no I/O here."""

import base64
from collections.abc import Container, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import orjson
from websockets.utils import accept_key

PATH = "/socket.io"
_VERSION = "4"
_KEY_BYTES = 16
_ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %b\r\n\r\n"
)
_REJECTED = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json\r\n"
    b"X-Content-Type-Options: nosniff\r\nContent-Length: %d\r\n\r\n%b"
)


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """Why a request was refused, by the numbers and in the form of Engine.IO's own server."""

    code: int
    message: str

    def body(self) -> bytes:
        """Return what is sent as ``application/json`` with status 400."""
        return orjson.dumps({"code": self.code, "message": self.message})


@dataclass(frozen=True, kw_only=True)
class Upgrade:
    """The answer to an upgrade request; with a ``query`` it is accepted."""

    answer: bytes
    query: str | None = None


def is_ours(path: str) -> bool:
    """Say whether a path, without its query, is that of Socket.IO."""
    return path == PATH or path.startswith(PATH + "/")


def judge(query: str) -> Rejection | None:
    """Say what is wrong with a handshake's query, if anything is."""
    wishes = parse_qs(query)
    transport = wishes.get("transport", ["polling"])[0]
    if transport != "websocket":
        return Rejection(
            code=0,
            message=f"Transport unknown: {transport[:50]!r}; this Nexus speaks WebSocket alone, so "
            'connect with transports: ["websocket"]',
        )
    if wishes.get("EIO", [""])[0] != _VERSION:
        return Rejection(
            code=5,
            message="Unsupported protocol version; use a client of Engine.IO 4 (Socket.IO 3 and 4)",
        )
    return None


def no_upgrade() -> Rejection:
    """Return what a plain HTTP request with the right query is told."""
    return Rejection(code=3, message="Bad request: connect by WebSocket, with an Upgrade header")


def answer(data: bytes, origins: Container[str] = ()) -> Upgrade:
    """Answer the bytes of a whole request that asks for an upgrade to WebSocket.

    Pages of this very host may, and those of ``origins``.

    The web server has read it before, and seen to the form of its lines and the Upgrade header.
    """
    request, *lines = data.decode("latin-1").split("\r\n")
    method, target, *_ = request.split(" ")
    query = target.partition("?")[2]
    named = (line.partition(":") for line in lines if line)
    headers = {name.lower(): value.strip() for name, _, value in named}
    rejection = judge(query) or _judge_headers(method, headers) or _judge_origin(headers, origins)
    if rejection is not None:
        return Upgrade(answer=_REJECTED % (len(rejection.body()), rejection.body()))
    accept = accept_key(headers["sec-websocket-key"]).encode()
    return Upgrade(answer=_ACCEPTED % accept, query=query)


def _judge_headers(method: str, headers: Mapping[str, str]) -> Rejection | None:
    if method != "GET":
        return Rejection(code=2, message="Bad handshake method; use GET")
    if headers.get("sec-websocket-version") != "13":
        return Rejection(code=3, message="Bad request: Sec-WebSocket-Version has to be 13")
    if not _is_key(headers.get("sec-websocket-key", "")):
        return Rejection(
            code=3, message="Bad request: Sec-WebSocket-Key has to be 16 bytes in Base64"
        )
    return None


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == _KEY_BYTES
    except ValueError:
        return False


def _judge_origin(headers: Mapping[str, str], origins: Container[str]) -> Rejection | None:
    """Let only known pages in: browsers name the origin, other clients do not."""
    origin = headers.get("origin")
    if origin is None or origin in origins or _netloc(origin) in _hosts(headers):
        return None
    return Rejection(code=4, message="Forbidden: this origin is not accepted")


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _hosts(headers: Mapping[str, str]) -> set[str]:
    """Return what this host is called by; no page can say otherwise, its browser writes these."""
    return {headers[name] for name in ("host", "x-forwarded-host") if name in headers}
