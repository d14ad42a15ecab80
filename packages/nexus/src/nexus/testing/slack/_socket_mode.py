"""Where Socket Mode lives: deliveries over WebSockets that the app opened.

https://docs.slack.dev/apis/events-api/using-socket-mode
"""

import asyncio
import itertools
import json
import secrets
import time
import uuid
from collections.abc import Callable

from aiohttp import WSMsgType, web

from nexus.testing.slack._deliveries import Answer, Delivery
from nexus.testing.slack._limits import Rules
from nexus.testing.slack._messages import Json
from nexus.testing.slack._users import App

MOST_CONNECTIONS = 10
_TYPES = {"event": "events_api", "interaction": "interactive"}


class _Connection:
    """One WebSocket, with the envelopes that wait for an acknowledgement on it."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self.socket = socket
        self.transport = transport
        self.waiting: dict[str, asyncio.Future[str]] = {}

    async def say(self, words: Json) -> None:
        await self.socket.send_str(json.dumps(words))

    async def hear(self) -> None:
        """Take acknowledgements until the connection ends, which fails those that still wait."""
        try:
            async for frame in self.socket:
                if frame.type is WSMsgType.TEXT:
                    self._acknowledged(frame.data)
        finally:
            for waiter in self.waiting.values():
                if not waiter.done():
                    waiter.set_exception(ConnectionResetError("the connection ended"))

    def _acknowledged(self, text: str) -> None:
        try:
            envelope_id = json.loads(text)["envelope_id"]
        except (ValueError, KeyError, TypeError):
            return
        waiter = self.waiting.pop(str(envelope_id), None)
        if waiter is not None and not waiter.done():
            waiter.set_result(text)

    async def ask(self, envelope: Json, within_s: float) -> str:
        """Send an envelope and return what acknowledged it."""
        waiter = asyncio.get_running_loop().create_future()
        self.waiting[envelope["envelope_id"]] = waiter
        try:
            async with asyncio.timeout(within_s):
                await self.say(envelope)
                return str(await waiter)
        finally:
            self.waiting.pop(envelope["envelope_id"], None)


class SocketMode:
    """Shares deliveries among the connections that are open, each to one of them."""

    def __init__(self, app: App, rules: Rules, changed: Callable[[], None]) -> None:
        self.base_url = ""
        self.is_on = False
        """The app asked for a connection at least once."""
        self._app = app
        self._rules = rules
        self._changed = changed
        self._tickets: set[str] = set()
        self._open: list[_Connection] = []
        self._turns = itertools.count()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def link(self) -> str:
        """Return an address that is good for one connection."""
        self.is_on = True
        ticket = secrets.token_urlsafe(12)
        self._tickets.add(ticket)
        return f"{self.base_url}/link/?ticket={ticket}&app_id={self._app.id}"

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Take a connection, greet it, and listen to it until it ends."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.json_response({"ok": False, "error": "invalid_ticket"}, status=401)
        self._tickets.remove(ticket)
        socket = web.WebSocketResponse(timeout=0.2)
        await socket.prepare(request)
        connection = _Connection(socket, request.transport)
        if self.connections >= MOST_CONNECTIONS:
            await connection.say(_goodbye("too_many_websockets"))
            await socket.close()
            return socket
        self._open.append(connection)
        try:
            await connection.say(self._hello())
            self._changed()
            await connection.hear()
        finally:
            self._open.remove(connection)
            self._changed()
        return socket

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": self.connections,
            "connection_info": {"app_id": self._app.id},
            "debug_info": {"host": "applink-test", "approximate_connection_time": 3600},
        }

    async def carry(self, delivery: Delivery, number: int, reason: str | None) -> Answer:
        """Send it to one connection; taken is what is acknowledged in time."""
        began = time.perf_counter()
        if not self._open:
            return Answer(failure="connection_failed")
        connection = self._open[next(self._turns) % len(self._open)]
        envelope = {
            "envelope_id": str(uuid.uuid4()),
            "type": _TYPES[delivery.kind],
            "payload": delivery.payload,
            "accepts_response_payload": delivery.kind == "interaction",
            "retry_attempt": number,
            "retry_reason": reason or "",
        }
        try:
            body = await connection.ask(envelope, self._rules.answer_within_s)
        except TimeoutError:
            return Answer(failure="timeout", took_ms=_since(began))
        except ConnectionError:
            return Answer(failure="connection_failed", took_ms=_since(began))
        return Answer(failure=None, body=body, took_ms=_since(began))

    async def refresh(self, *, warned: bool = True) -> None:
        """End every connection as Slack does every few hours: warn, ask to come again, close."""
        ending = list(self._open)
        for connection in ending:
            if warned:
                await connection.say(_goodbye("warning"))
            await connection.say(_goodbye("refresh_requested"))
        for connection in ending:
            await connection.socket.close()

    def cut(self) -> None:
        """Break every connection without a word."""
        for connection in self._open:
            if connection.transport is not None:
                connection.transport.abort()

    async def close(self) -> None:
        """Close what is open."""
        for connection in list(self._open):
            await connection.socket.close()


def _goodbye(reason: str) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-test"}}


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000
