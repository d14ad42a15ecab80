"""Where it is judged whether a request may become a connection of Engine.IO; no I/O here."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import orjson
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

PATH = "/socket.io"
_VERSION = "4"


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


def answer(data: bytes) -> Upgrade:
    """Answer the bytes of a whole upgrade request."""
    protocol = ServerProtocol()
    protocol.receive_data(data)
    (request,) = protocol.events_received() or (None,)
    if not isinstance(request, Request):
        return _rejected(protocol, Rejection(code=3, message="Bad request"))
    query = request.path.partition("?")[2]
    rejection = judge(query) or _judge_origin(request.headers)
    if rejection is not None:
        return _rejected(protocol, rejection)
    response = protocol.accept(request)
    accepted = response.status_code == HTTPStatus.SWITCHING_PROTOCOLS
    return Upgrade(answer=_bytes(protocol, response), query=query if accepted else None)


def _judge_origin(headers: Mapping[str, str]) -> Rejection | None:
    """Let only pages of this very host in: browsers name the origin, other clients do not."""
    origin = headers.get("Origin")
    hosts = {headers.get("Host"), headers.get("X-Forwarded-Host")}
    if origin is None or urlsplit(origin).netloc in hosts:
        return None
    return Rejection(code=4, message="Forbidden: this origin is not accepted")


def _rejected(protocol: ServerProtocol, rejection: Rejection) -> Upgrade:
    response = protocol.reject(HTTPStatus.BAD_REQUEST, rejection.body().decode())
    response.headers["Content-Type"] = "application/json"
    return Upgrade(answer=_bytes(protocol, response))


def _bytes(protocol: ServerProtocol, response: Response) -> bytes:
    protocol.send_response(response)
    return b"".join(protocol.data_to_send())
