"""Where Socket.IO lives, spoken by python-socketio behind the seams of delivery."""

import asyncio
import logging
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import orjson
import socketio
from socketio.exceptions import ConnectionRefusedError as Refused
from socketio.packet import BINARY_ACK, BINARY_EVENT, Packet

from nexus.delivery import Delivery, LiveSession, OutletClosed
from nexus.domain.errors import NexusError
from nexus.gateway.connection import Connection
from nexus.gateway.handshake import admit, refusal
from nexus.services import views
from nexus.services.platform import Platform
from oblivion.protocol import (
    MAX_FRAME_BYTES,
    NAMESPACE,
    PROTOCOL_VERSION,
    CallError,
    ConnectedPayload,
    ErrorCode,
    EventType,
)

MAX_BACKLOG = 256
_log = logging.getLogger("nexus.gateway")
_json = SimpleNamespace(
    dumps=lambda value, **_: orjson.dumps(value).decode(),
    loads=lambda text, **_: orjson.loads(text),
)


class TextPacket(Packet):  # type: ignore[misc]  # the library is untyped
    """A Socket.IO packet that refuses binary attachments, which would pile up unbounded."""

    json = _json

    def decode(self, encoded_packet: str) -> int | None:
        """Decode a packet; a binary one is an error."""
        attachments: int | None = super().decode(encoded_packet)
        if self.packet_type in {BINARY_EVENT, BINARY_ACK}:
            raise ValueError("binary packets are not supported; send JSON")
        return attachments


class SocketOutlet:
    """One agent's side of a Socket.IO connection; cut when its backlog passes the bound."""

    def __init__(self, namespace: "AgentNamespace", sid: str) -> None:
        self._namespace = namespace
        self._sid = sid

    async def send(self, type_: str, message: Mapping[str, Any]) -> None:
        """Queue one message for the socket.

        Raises:
            OutletClosed: the connection is gone, or its agent does not read.
        """
        queue = self._namespace.queue_of(self._sid)
        if queue is None:
            raise OutletClosed("the connection is closed")
        if queue.qsize() >= MAX_BACKLOG:
            await self.close()
            raise OutletClosed(f"the agent left {queue.qsize()} messages unread")
        await self._namespace.emit(type_, message, to=self._sid)

    async def flush(self) -> None:
        """Wait until the socket's queue is empty."""
        queue = self._namespace.queue_of(self._sid)
        if queue is not None:
            await queue.join()

    async def close(self) -> None:
        """Disconnect."""
        await self._namespace.disconnect(self._sid)


class AgentNamespace(socketio.AsyncNamespace):  # type: ignore[misc]  # the library is untyped
    """The namespace ``/agents``: admits, greets, and hands calls to their connection."""

    def __init__(self, platform: Platform, delivery: Delivery) -> None:
        super().__init__(NAMESPACE)
        self._platform = platform
        self._delivery = delivery
        self._connections: dict[str, Connection] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def trigger_event(self, event: str, *args: Any) -> Any:
        """Take in whatever the socket brings."""
        if event == "connect":
            return await self._connect(*args)
        if event == "disconnect":
            return self._disconnect(args[0])
        connection = self._connections.get(args[0])
        if connection is None:
            code, message = ErrorCode.NOT_READY, "this connection has ended; connect again"
            return {"error": CallError(code=code, message=message, retryable=True).to_wire()}
        return await connection.call(event, args[1] if len(args) > 1 else None)

    def queue_of(self, sid: str) -> asyncio.Queue[Any] | None:
        """Return the messages that wait to be written; None when the connection is gone."""
        manager = self.server.manager
        if not manager.is_connected(sid, NAMESPACE):
            return None
        socket = self.server.eio.sockets.get(manager.eio_sid_from_sid(sid, NAMESPACE))
        return None if socket is None or socket.closed else socket.queue

    async def _connect(self, sid: str, environ: Mapping[str, Any], auth: object = None) -> None:
        try:
            if self._delivery.draining:
                raise Refused(*_draining())
            caller = await admit(self._platform, environ, auth)
            agent_id = caller.agent_id or ""
            session = await self._delivery.open(agent_id, SocketOutlet(self, sid))
        except NexusError as error:
            raise Refused(error.message, refusal(error)) from error
        self._connections[sid] = Connection(self._platform, session)
        task = asyncio.create_task(self._attend(sid, session), name=f"session of {agent_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _disconnect(self, sid: str) -> None:
        connection = self._connections.pop(sid, None)
        if connection is not None:
            connection.session.hang_up()

    async def _attend(self, sid: str, session: LiveSession) -> None:
        await self.emit(EventType.CONNECTED, self._greeting(session), to=sid)
        try:
            await session.run()
        finally:
            await self._delivery.close(session, "connection closed")

    def _greeting(self, session: LiveSession) -> dict[str, Any]:
        return ConnectedPayload(
            message="welcome to Nexus; send agent_ready",
            agent_id=session.ref.agent_id,
            session_id=session.ref.session_id,
            server_time=views.moment(self._platform.clock()),
            heartbeat_interval_ms=self._platform.limits.heartbeat_interval_ms,
            protocol=PROTOCOL_VERSION,
            epoch=session.epoch,
        ).to_wire()


class _Server(socketio.AsyncServer):  # type: ignore[misc]  # the library is untyped
    """python-socketio's server, which hangs up on whoever sends what it cannot read."""

    async def _handle_eio_message(self, eio_sid: str, data: str | bytes) -> None:
        try:
            await super()._handle_eio_message(eio_sid, data)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's frame may cause
            _log.warning("frame_refused reason=%r", str(error)[:200])
            await self.eio.disconnect(eio_sid)


def _draining() -> tuple[str, dict[str, Any]]:
    message = "this Nexus is about to stop; come back in a moment"
    error = CallError(code=ErrorCode.SERVER_DRAINING, message=message, retryable=True)
    return message, error.to_wire()


def create_gateway(platform: Platform, delivery: Delivery) -> socketio.AsyncServer:
    """Return the Socket.IO server of this node; mount it with ``socketio.ASGIApp``."""
    server = _Server(
        async_mode="asgi",
        serializer=TextPacket,
        json=_json,
        transports=["websocket"],
        max_http_buffer_size=MAX_FRAME_BYTES,
        http_compression=False,
        logger=False,
        engineio_logger=False,
    )
    server.register_namespace(AgentNamespace(platform, delivery))
    return server
