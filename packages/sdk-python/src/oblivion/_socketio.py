"""Where python-socketio is spoken to; nothing else of the SDK knows it.

Its own reconnection, signal handling and logging are off: the session owns the first, the
application the others (and its log lines would show the token). Sending uses ``emit`` with a
callback, never ``call``: a pending ``call`` is not woken by a disconnect.
"""

import asyncio
import base64
import logging
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

import aiohttp
import socketio  # pyright: ignore[reportMissingTypeStubs] - there are none
from engineio import base_client  # pyright: ignore[reportMissingTypeStubs] - there are none

from oblivion._clock import Clock, within
from oblivion._refusals import refused_connect
from oblivion._route import Route
from oblivion._transport import OnAck, OnEvent
from oblivion.errors import ConnectRefused, NexusUnreachable
from oblivion.protocol import MAX_FRAME_BYTES, NAMESPACE

_CLOSE_SECONDS = 2.0
"""What a socket gets for its goodbye before it is torn down."""

# Not of `getLogger`: no configuration of the application can make it speak.
_SILENT: Any = logging.Logger("silent", level=logging.CRITICAL + 1)  # noqa: LOG001


_ENGINEIO_CLIENTS: list[Any] = cast("Any", base_client).connected_clients

_Outgoing: TypeAlias = tuple[str, dict[str, Any], OnAck | None]


class SocketIOConnector:
    """Opens Socket.IO connections over WebSocket."""

    def __init__(self, route: Route, clock: Clock, timeout: float) -> None:
        self._route = route
        self._clock = clock
        self._timeout = timeout

    async def open(self, token: str, on_event: OnEvent) -> "SocketIOConnection":
        """Open a connection on the agents' namespace; see :class:`~._transport.Connector`."""
        connection = SocketIOConnection(self._route, on_event)
        try:
            async with within(self._clock, self._timeout):
                await connection.open(token)
        except TimeoutError:
            await connection.close(flush=False)
            raise NexusUnreachable(
                f"{self._route.url} did not complete the connection within {self._timeout:g} s"
            ) from None
        except BaseException:
            await connection.close(flush=False)
            raise
        return connection


class SocketIOConnection:
    """One Socket.IO connection, used once."""

    def __init__(self, route: Route, on_event: OnEvent) -> None:
        self._url = route.url
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[str] = loop.create_future()
        self._opened: asyncio.Future[ConnectRefused | None] = loop.create_future()
        self._outgoing: asyncio.Queue[_Outgoing] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._http = aiohttp.ClientSession()
        self._sio: Any = socketio.AsyncClient(
            reconnection=False,
            handle_sigint=False,
            logger=_SILENT,
            engineio_logger=_SILENT,
            http_session=self._http,
            websocket_extra_options={"max_msg_size": 4 * MAX_FRAME_BYTES, **_way(route)},
        )
        self._sio.on("connect", self._on_connect, namespace=NAMESPACE)
        self._sio.on("connect_error", self._on_refused, namespace=NAMESPACE)
        self._sio.on("disconnect", self._on_disconnect, namespace=NAMESPACE)
        self._sio.on("*", partial(self._on_event, on_event), namespace=NAMESPACE)

    async def open(self, token: str) -> None:
        """Connect and wait for the namespace; raises what :class:`Connector` promises."""
        url = self._url
        base_path = urlsplit(url).path.strip("/")
        try:
            await self._sio.connect(
                url,
                auth={"token": token},
                transports=["websocket"],
                namespaces=[NAMESPACE],
                socketio_path=f"{base_path}/socket.io".lstrip("/"),
                wait=False,
            )
        except Exception as error:  # noqa: BLE001 - socketio, engineio, aiohttp, OSError
            reason = _deepest(error)
            raise NexusUnreachable(f"no Socket.IO server answered at {url}: {reason}") from None
        self._tasks = [
            asyncio.create_task(self._watch(), name="oblivion-socket-watch"),
            asyncio.create_task(self._write(), name="oblivion-socket-write"),
        ]
        ends: set[asyncio.Future[Any]] = {self._opened, self.closed}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not self._opened.done():
            raise NexusUnreachable(f"{url} closed the connection: {self.closed.result()}")
        refusal = self._opened.result()
        if refusal is not None:
            raise refusal

    def send(self, event: str, data: dict[str, Any], on_ack: OnAck | None = None) -> None:
        """Queue an event; on a closed socket nothing happens."""
        if not self.closed.done():
            self._outgoing.put_nowait((event, data, on_ack))

    async def close(self, *, flush: bool) -> None:
        """Close the socket within a few seconds, after sending what is queued if ``flush``.

        The deadline is the machine's own: a goodbye is no decision that a test's clock steers.
        """
        try:
            if flush and self._can_write():
                await _at_most(_CLOSE_SECONDS, self._say_goodbye())
        finally:
            self._end("client disconnect")
            await _to_the_end(self._tear_down())

    async def _say_goodbye(self) -> None:
        await self._outgoing.join()
        await self._sio.eio.queue.join()

    async def _tear_down(self) -> None:
        """End what this connection and the libraries started, and the libraries' memory of it."""
        eio = self._sio.eio
        await _at_most(_CLOSE_SECONDS / 4, self._sio.disconnect())
        if eio.ws is not None:  # engineio leaves it open when its own loops fail
            await _at_most(_CLOSE_SECONDS / 4, eio.ws.close())
        await _at_most(_CLOSE_SECONDS / 4, self._http.close())
        started = [*self._tasks, eio.read_loop_task, eio.write_loop_task]
        tasks = [task for task in started if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(ValueError):
            _ENGINEIO_CLIENTS.remove(eio)

    def _can_write(self) -> bool:
        """Whether everybody whose work it is to write is still there (a loop that ends is not)."""
        writers = [*self._tasks, self._sio.eio.write_loop_task]
        at_work = all(task is not None and not task.cancelling() for task in writers)
        return at_work and not self.closed.done()

    async def _write(self) -> None:
        while True:
            event, data, on_ack = await self._outgoing.get()
            await self._emit(event, data, on_ack)
            self._outgoing.task_done()

    async def _emit(self, event: str, data: dict[str, Any], on_ack: OnAck | None) -> None:
        callback = None if on_ack is None else partial(_first, on_ack)
        try:
            await self._sio.emit(event, data, namespace=NAMESPACE, callback=callback)
        except Exception as error:  # noqa: BLE001 - whatever ends a connection
            self._end(f"{type(error).__name__}: {error}")

    async def _watch(self) -> None:
        """Notice the end of the connection, however it came."""
        await self._sio.eio.wait()
        self._end("transport closed")

    def _end(self, reason: str) -> None:
        if not self.closed.done():
            self.closed.set_result(reason)

    def _on_connect(self) -> None:
        if not self._opened.done():
            self._opened.set_result(None)

    def _on_refused(self, *data: Any) -> None:
        if not self._opened.done():
            self._opened.set_result(refused_connect(data[0] if data else None))

    def _on_disconnect(self, reason: Any = None) -> None:
        self._end(str(reason or "disconnected"))

    def _on_event(self, on_event: OnEvent, event: str, *data: Any) -> None:
        if not self.closed.done():
            on_event(event, data[0] if data else None)


def _way(route: Route) -> dict[str, Any]:
    """Return a route as options of aiohttp."""
    options: dict[str, Any] = {} if route.tls is None else {"ssl": route.tls}
    if route.proxy is not None:
        options["proxy"] = route.proxy.url
        if route.proxy.user is not None:
            said = f"{route.proxy.user}:{route.proxy.password}".encode()
            shown = f"Basic {base64.b64encode(said).decode()}"
            options["proxy_headers"] = {"Proxy-Authorization": shown}
    return options


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Let ``work``, which is bounded, end even where the caller is cancelled meanwhile."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    finally:
        await asyncio.wait({task})


async def _at_most(seconds: float, work: Coroutine[Any, Any, Any]) -> None:
    """Let ``work`` take at most so long; how it fails matters to nobody any more."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _deepest(error: BaseException) -> str:
    """Return what went wrong at the bottom: the libraries above only say "Connection error".

    Below what the system says there is only what the libraries had tried before.
    """
    while (below := error.__cause__ or error.__context__) is not None:
        if isinstance(error, OSError) and not isinstance(below, OSError):
            break
        error = below
    return str(error) or type(error).__name__


def _first(on_ack: OnAck, *data: Any) -> None:
    on_ack(data[0] if data else None)
