"""Where the fake Nexus listens: one free port for Socket.IO and HTTP, in the test's own loop."""

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import socketio  # pyright: ignore[reportMissingTypeStubs] - there are none
from aiohttp import web

from oblivion._clock import Clock, sleep
from oblivion._json import as_object
from oblivion.protocol import MAX_FRAME_BYTES, NAMESPACE, ConnectedPayload, EventType
from oblivion.testing._agents import Agent, Agents, Session
from oblivion.testing._calls import Caller, Calls
from oblivion.testing._faults import Faults
from oblivion.testing._http import Http
from oblivion.testing._line import SocketLine
from oblivion.testing._refusal import Refusal
from oblivion.testing._tokens import Tokens

_DAY = 24 * 3600
"""A client that stands in a debugger is not gone."""

HEARTBEAT_MS = 30_000

_socketio: Any = socketio
_ConnectionRefused: type[Exception] = _socketio.exceptions.ConnectionRefusedError


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One call of an agent, as it came in."""

    client_id: str
    type: str
    payload: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Visitor:
    agent: Agent
    session: Session
    line: SocketLine


class Server:
    """The sockets of a fake Nexus; ``heard`` holds what agents said, in order."""

    def __init__(
        self, clock: Clock, agents: Agents, tokens: Tokens, calls: Calls, faults: Faults
    ) -> None:
        self.heard: list[Heard] = []
        self.port = 0
        self._clock = clock
        self._agents = agents
        self._tokens = tokens
        self._calls = calls
        self._faults = faults
        self._visitors: dict[str, _Visitor] = {}
        self._runner: web.AppRunner | None = None
        self._sio: Any = None

    async def start(self, http: Http) -> None:
        """Listen on a free port; after :meth:`stop` on the one of before."""
        self._sio = _socketio.AsyncServer(
            async_mode="aiohttp",
            namespaces=[NAMESPACE],
            max_http_buffer_size=MAX_FRAME_BYTES,
            http_compression=False,
            monitor_clients=False,
            transports=["websocket"],
            ping_interval=_DAY,
            ping_timeout=_DAY,
        )
        self._sio.on("connect", self._on_connect, namespace=NAMESPACE)
        self._sio.on("disconnect", self._on_disconnect, namespace=NAMESPACE)
        self._sio.on("*", self._on_event, namespace=NAMESPACE)
        app = web.Application()
        app.add_routes(http.routes())
        self._sio.attach(app)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        if self._runner is None:
            return
        for visitor in list(self._visitors.values()):
            visitor.line.cut()
        await self._sio.shutdown()
        await self._runner.cleanup()
        self._runner = None

    def cut(self, agent: Agent) -> None:
        """Close an agent's connection without a word."""
        for visitor in list(self._visitors.values()):
            if visitor.agent is agent:
                visitor.line.cut()

    async def _on_connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        shown = as_object(auth).get("token")
        token = shown if isinstance(shown, str) else next(iter(query.get("token", ())), None)
        try:
            agent = self._tokens.read(token)
        except Refusal as refusal:
            said = refusal.to_wire()
            raise _ConnectionRefused(refusal.message, said) from None
        line = SocketLine(self._sio, sid, environ["aiohttp.request"], self._clock, self._faults)
        session = self._agents.open(agent, line)
        self._visitors[sid] = _Visitor(agent=agent, session=session, line=line)
        # The packet that lets the client in goes out when this handler has returned.
        asyncio.get_running_loop().call_soon(self._greet, agent, session)

    def _greet(self, agent: Agent, session: Session) -> None:
        greeting = ConnectedPayload(
            message="welcome to the fake Nexus",
            agent_id=agent.id,
            session_id=session.id,
            server_time=self._clock.now(),
            heartbeat_interval_ms=HEARTBEAT_MS,
            epoch=self._agents.epoch,
        )
        session.line.send(EventType.CONNECTED, greeting.to_wire())

    async def _on_disconnect(self, sid: str, _reason: Any = None) -> None:
        visitor = self._visitors.pop(sid, None)
        if visitor is not None:
            visitor.line.end()
            self._agents.close(visitor.agent, visitor.session)

    async def _on_event(self, type_: str, sid: str, data: Any = None) -> Any:
        visitor = self._visitors.get(sid)
        if visitor is None:
            return None
        payload = as_object(as_object(data).get("payload"))
        self.heard.append(Heard(client_id=visitor.agent.client_id, type=type_, payload=payload))
        if self._faults.take_swallow(type_):
            visitor.line.cut()
            return None
        caller = Caller(agent=visitor.agent, session=visitor.session)
        answer = await self._calls.carry_out(caller, type_, data)
        if self._faults.take_cut(type_):
            visitor.line.cut()
        elif delay := self._faults.take_delay(type_):
            await sleep(self._clock, delay)
        return answer
