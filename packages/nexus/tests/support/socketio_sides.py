"""Where tests get a Socket.IO server side: ours, and python-socketio's as the reference.

Both serve the same :class:`~nexus.gateway.seams.Host` behind uvicorn on a free port, in this
process or, run as a program with the name of a side, as a process of its own that says its URL.
"""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from types import SimpleNamespace
from typing import Any

import orjson
import socketio
import uvicorn
from socketio.exceptions import ConnectionRefusedError as ReferenceRefusal
from socketio.packet import BINARY_ACK, BINARY_EVENT, Packet

from nexus.delivery import Outlet
from nexus.gateway.conversation import Patience
from nexus.gateway.door import ASGIApp, FrontDoor
from nexus.gateway.line import Bounds, Exchange
from nexus.gateway.rounds import Rounds
from nexus.gateway.seams import Guest, Host, Refused
from nexus.server import spare_the_collector
from oblivion.protocol import MAX_FRAME_BYTES, NAMESPACE

TOKEN = "let-me-in"
SIDES = ("ours", "reference")


class Parlour:
    """A host with simple manners: whoever has the token comes in, and may ask for echoes."""

    def __init__(self) -> None:
        self.visitors: list[Talker] = []
        self.door = asyncio.Event()
        """Nobody gets in before it is set."""
        self.door.set()

    async def admit(self, outlet: Outlet, query: str, auth: Any) -> "Talker":
        """Let in whoever shows the token, in the connect packet or in the query."""
        shown = auth.get("token") if isinstance(auth, dict) else None
        if shown != TOKEN and f"token={TOKEN}" not in query:
            error = {"code": "unauthorized", "message": "who are you?", "retryable": False}
            raise Refused({"message": "who are you?", "data": error})
        await self.door.wait()
        visitor = Talker(outlet)
        self.visitors.append(visitor)
        return visitor


class Talker:
    """A guest that answers: what it was sent, or what it was told to do."""

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet
        self.calls: list[tuple[str, Any]] = []
        self.hold = asyncio.Event()
        self.is_gone = asyncio.Event()

    async def welcome(self) -> None:
        """Greet."""
        await self.outlet.send("connected", {"hello": "you"})

    def gone(self) -> None:
        """End the stay."""
        self.is_gone.set()

    def at_once(self, name: str, data: Any) -> Any:
        """Answer a greeting on the spot."""
        return {"hello": data} if name == "greet" else None

    async def call(self, name: str, data: Any, text: bytes) -> Any:
        """Answer a call."""
        if name == "echo":
            return data
        self.calls.append((name, data))
        if name == "tell":
            await self.outlet.send("told", data)
        elif name == "throw_out":
            await self.outlet.close()
        elif name == "hold":
            await self.hold.wait()
        return {"did": name}


# --- the reference ----------------------------------------------------------------------------

_json = SimpleNamespace(
    dumps=lambda value, **_: orjson.dumps(value).decode(),
    loads=lambda text, **_: orjson.loads(text),
)


class _TextPacket(Packet):  # type: ignore[misc]  # the library is untyped
    json = _json

    def decode(self, encoded_packet: str) -> int | None:
        attachments: int | None = super().decode(encoded_packet)
        if self.packet_type in {BINARY_EVENT, BINARY_ACK}:
            raise ValueError("binary packets are not supported; send JSON")
        return attachments


class _Outlet:
    def __init__(self, namespace: "_Namespace", sid: str) -> None:
        self._namespace = namespace
        self._sid = sid

    async def send(self, type_: str, message: Mapping[str, Any]) -> None:
        await self._namespace.emit(type_, message, to=self._sid)

    async def flush(self) -> None:
        return

    async def close(self) -> None:
        await self._namespace.disconnect(self._sid)


class _Namespace(socketio.AsyncNamespace):  # type: ignore[misc]  # the library is untyped
    def __init__(self, host: Host) -> None:
        super().__init__(NAMESPACE)
        self._host = host
        self._guests: dict[str, Guest] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def trigger_event(self, event: str, *args: Any) -> Any:
        if event == "connect":
            return await self._connect(*args)
        if event == "disconnect":
            guest = self._guests.pop(args[0], None)
            return None if guest is None else guest.gone()
        data = args[1] if len(args) > 1 else None
        guest = self._guests[args[0]]
        answer = guest.at_once(event, data)
        return answer or await guest.call(event, data, orjson.dumps((event, data)))

    async def _connect(self, sid: str, environ: Mapping[str, Any], auth: object = None) -> None:
        query = str(environ.get("QUERY_STRING", ""))
        try:
            guest = await self._host.admit(_Outlet(self, sid), query, auth)
        except Refused as refusal:
            raise ReferenceRefusal(refusal.error["message"], refusal.error["data"]) from refusal
        self._guests[sid] = guest
        task = asyncio.create_task(guest.welcome())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Server(socketio.AsyncServer):  # type: ignore[misc]  # the library is untyped
    async def _handle_eio_message(self, eio_sid: str, data: str | bytes) -> None:
        try:
            await super()._handle_eio_message(eio_sid, data)
        except Exception:  # noqa: BLE001 - whatever a stranger's frame may cause
            await self.eio.disconnect(eio_sid)


def _reference(host: Host, patience: Patience) -> Any:
    server = _Server(
        async_mode="asgi",
        serializer=_TextPacket,
        json=_json,
        transports=["websocket"],
        max_http_buffer_size=MAX_FRAME_BYTES,
        http_compression=False,
        ping_interval=patience.ping_s,
        ping_timeout=patience.pong_s,
    )
    server.register_namespace(_Namespace(host))
    return socketio.ASGIApp(server, other_asgi_app=_hello)


# --- both behind uvicorn ------------------------------------------------------------------------


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    """Say hello over HTTP and over WebSocket: what shares the port."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "hello"})
        await send({"type": "websocket.close", "code": 1000})


def _config(
    side: str, host: Host, patience: Patience, bounds: Bounds, step_s: float
) -> uvicorn.Config:
    app: Any
    ws: Any = "websockets-sansio"
    if side == "reference":
        app = _reference(host, patience)
    else:
        rounds = Rounds(asyncio.get_running_loop(), step_s=step_s)
        hello: ASGIApp = _hello
        app = FrontDoor(Exchange(host=host, rounds=rounds, patience=patience, bounds=bounds), hello)
        ws = app.upgrade
    return uvicorn.Config(
        app,
        http="httptools",
        ws=ws,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws_per_message_deflate=False,
        ws_max_size=MAX_FRAME_BYTES,
        timeout_graceful_shutdown=5,
    )


@contextlib.asynccontextmanager
async def serving(
    side: str,
    host: Host,
    *,
    patience: Patience | None = None,
    bounds: Bounds | None = None,
    step_s: float = 0.05,
    port: int = 0,
) -> AsyncIterator[str]:
    """Serve a host, on a free port unless told, until the block ends; yields the URL."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(2048)
    config = _config(side, host, patience or Patience(), bounds or Bounds(), step_s)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment, method-assign]  # the tests' own
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


async def _serve_alone(side: str) -> None:
    async with serving(side, Parlour(), step_s=1.0) as url:
        spare_the_collector()
        print(url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


def _main(run: Callable[..., Any]) -> None:
    run(_serve_alone(sys.argv[1]))


if __name__ == "__main__":
    if sys.platform == "win32":
        _main(asyncio.run)
    else:
        import uvloop

        _main(uvloop.run)
