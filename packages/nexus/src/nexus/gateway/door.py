"""Where one port serves both: upgrades to Socket.IO become lines, all else is the ASGI app's."""

import asyncio
from collections.abc import Awaitable, Callable, Container, MutableMapping
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from nexus.gateway.line import Exchange, Line
from nexus.gateway.upgrade import Rejection, answer, is_ours, judge, no_upgrade

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class FrontDoor:
    """An ASGI app, and the WebSocket protocol that uvicorn needs beside it: ``ws=door.upgrade``."""

    def __init__(self, exchange: Exchange, app: ASGIApp, origins: Container[str] = ()) -> None:
        self._exchange = exchange
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve HTTP; a Socket.IO handshake without an upgrade is refused readably."""
        if scope["type"] == "http" and is_ours(scope["path"]):
            query = scope["query_string"].decode("latin-1")
            await _refuse(send, judge(query) or no_upgrade())
        else:
            await self._app(scope, receive, send)

    def upgrade(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], **_: Any
    ) -> asyncio.Protocol:
        """Return what uvicorn hands a connection to whose request asks for an upgrade."""

        def other() -> asyncio.Protocol:
            return WebSocketsSansIOProtocol(config, server_state, app_state)

        def line(query: str) -> asyncio.Protocol:
            return Line(self._exchange, server_state, query)

        return _Usher(line, other, self._origins)


class _Usher(asyncio.Protocol):
    """Reads the request of an upgrade, and passes the connection on to whom it is for.

    uvicorn calls ``connection_made`` and ``data_received`` with the whole request, and only then
    makes this the transport's protocol; so the successor can take the place a moment later.
    """

    _transport: asyncio.Transport

    def __init__(
        self,
        line: Callable[[str], asyncio.Protocol],
        other: Callable[[], asyncio.Protocol],
        origins: Container[str],
    ) -> None:
        self._line = line
        self._other = other
        self._origins = origins
        self._is_read = False
        self._successor = asyncio.Protocol()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take in the request; pass on whatever comes before the successor is in place."""
        if self._is_read:
            self._successor.data_received(data)
            return
        self._is_read = True
        path = data.split(b" ", 2)[1].partition(b"?")[0].decode("latin-1")
        if is_ours(path):
            self._answer(data)
        else:
            self._pass_on(self._other())
            self._successor.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return self._successor.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._successor.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._successor.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._successor.resume_writing()

    def _answer(self, data: bytes) -> None:
        upgrade = answer(data, self._origins)
        self._transport.write(upgrade.answer)
        if upgrade.query is None:
            self._transport.close()
        else:
            self._pass_on(self._line(upgrade.query))

    def _pass_on(self, successor: asyncio.Protocol) -> None:
        self._successor = successor
        successor.connection_made(self._transport)
        asyncio.get_running_loop().call_soon(self._transport.set_protocol, successor)


async def _refuse(send: Send, rejection: Rejection) -> None:
    body = rejection.body()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})
