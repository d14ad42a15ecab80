"""Where the networks of companies are built: proxies, TLS, and a Nexus below a path."""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import ClientSession, WSMsgType, web

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ForwardProxy:
    """An HTTP proxy that tunnels by CONNECT, and may ask for a password.

    ``asked`` has the first line of every request, ``hosts`` where names lead in its network.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.hosts: dict[str, int] = {}
        self.password: str | None = None
        self.port = 0
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection of a client."""
        head = await reader.readuntil(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        self.asked.append(line)
        method, target, _ = line.split(" ")
        host, _, port = target.partition(":")
        if method != "CONNECT" or not self._lets_through(fields):
            status = "407 Proxy Authentication Required" if method == "CONNECT" else "501 No"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
            await reader.read()
            return
        there = await asyncio.open_connection("127.0.0.1", self.hosts.get(host) or int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await join((reader, writer), there)

    def _lets_through(self, fields: list[str]) -> bool:
        if self.password is None:
            return True
        said = base64.b64encode(self.password.encode()).decode()
        return f"Proxy-Authorization: Basic {said}".lower() in [field.lower() for field in fields]


async def join(one: Streams, other: Streams) -> None:
    """Pass bytes on in both directions until one of them ends."""
    ways = [
        asyncio.create_task(_pass_on(reader, writer))
        for (reader, _), (_, writer) in ((one, other), (other, one))
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        one[1].transport.abort()
        other[1].transport.abort()
        await asyncio.gather(*ways, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()


@contextlib.asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    *,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve connections on a free port, and end all of them with the block."""
    running: set[asyncio.Task[None]] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            running.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(take, host, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@contextlib.asynccontextmanager
async def forward_proxy(tls: ssl.SSLContext | None = None) -> AsyncIterator[ForwardProxy]:
    """Run a proxy for the block."""
    proxy = ForwardProxy()
    proxy.scheme = "http" if tls is None else "https"
    async with listening(proxy.serve, tls=tls) as proxy.port:
        yield proxy


@contextlib.asynccontextmanager
async def door_to(
    port: int, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Listen on another address, with TLS where given, and pass everything on to ``port``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await join((reader, writer), await asyncio.open_connection("127.0.0.1", port))

    async with listening(serve, host=host, tls=tls) as door:
        yield door


@contextlib.asynccontextmanager
async def below_a_path(path: str, url: str) -> AsyncIterator[str]:
    """Run a reverse proxy that has the server at ``url`` below ``path``; nothing else is there."""

    async def pass_on(request: web.Request) -> web.StreamResponse:
        target = url + "/" + request.match_info["tail"]
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await _talk(http, request, target)
        kept = {k: v for k, v in request.headers.items() if k not in {"Host", "Content-Length"}}
        async with http.request(
            request.method, target, params=request.query, data=await request.read(), headers=kept
        ) as answer:
            return web.Response(
                status=answer.status,
                body=await answer.read(),
                headers={"Content-Type": answer.headers["Content-Type"]},
            )

    app = web.Application()
    app.router.add_route("*", f"{path}/{{tail:.*}}", pass_on)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    async with ClientSession() as http:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}{path}"
        finally:
            await runner.cleanup()


async def _talk(http: ClientSession, request: web.Request, url: str) -> web.StreamResponse:
    here = web.WebSocketResponse()
    await here.prepare(request)
    async with http.ws_connect(url, params=request.query) as there:

        async def answers() -> None:
            async for message in there:
                await here.send_str(message.data)

        answering = asyncio.create_task(answers())
        async for message in here:
            if message.type is WSMsgType.TEXT:
                await there.send_str(message.data)
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
    return here
