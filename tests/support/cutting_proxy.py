"""Where tests cut the network: a TCP proxy that can fall silent without a FIN."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

_CHUNK = 65_536


class CuttingProxy:
    """Forwards bytes to a Nexus until told to swallow them; new connections are forwarded again."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._open: list[asyncio.Event] = []
        self._streams: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.connections = 0
        self.url = ""

    def cut(self) -> None:
        """Let no byte through any more on what is connected now; nobody is told."""
        for flowing in self._open:
            flowing.clear()
        self._open.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        flowing = asyncio.Event()
        flowing.set()
        self._open.append(flowing)
        there = await asyncio.open_connection("localhost", self._target_port)
        self._streams += [writer, there[1]]
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(
                self._forward(reader, there[1], flowing), self._forward(there[0], writer, flowing)
            )
        for stream in (writer, there[1]):
            stream.close()
            self._streams.remove(stream)

    @staticmethod
    async def _forward(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flowing: asyncio.Event
    ) -> None:
        while chunk := await reader.read(_CHUNK):
            if flowing.is_set():
                writer.write(chunk)
                await writer.drain()
        if flowing.is_set():
            writer.write_eof()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "localhost", 0)
        self.url = f"http://localhost:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Close everything."""
        assert self._server is not None
        self._server.close()
        for stream in self._streams:
            stream.close()
        await self._server.wait_closed()


@contextlib.asynccontextmanager
async def cutting_proxy(url: str) -> AsyncIterator[CuttingProxy]:
    """Stand between an agent and the Nexus at ``url`` until the block ends."""
    port = urlsplit(url).port
    assert port is not None
    proxy = CuttingProxy(port)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
