"""Where a TCP proxy lives that can fall silent without saying goodbye."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class DarkProxy:
    """Passes bytes on until :meth:`go_dark`: then connections stay open and nothing passes."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._dark = False
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def go_dark(self) -> None:
        """Swallow everything on the connections of now; new ones work."""
        self._dark = True

    def light_up(self) -> None:
        """Serve new connections; those that went dark stay so."""
        self._dark = False

    def cut(self) -> None:
        """End all connections of now; new ones work."""
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                await self._connect(reader, writer)
        finally:
            writer.close()
            if task is not None:
                self._tasks.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            await asyncio.gather(self._pump(reader, upstream), self._pump(upstream_reader, writer))
        finally:
            upstream.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if self._dark:
                await asyncio.Event().wait()
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def dark_proxy(target_port: int) -> AsyncIterator[DarkProxy]:
    """Run a proxy before ``target_port`` for the body."""
    proxy = DarkProxy(target_port)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
