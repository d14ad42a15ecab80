"""Where a connection to PostgreSQL is cut at the worst moment: around a commit."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from enum import Enum, auto


class Cut(Enum):
    """When to cut."""

    NEVER = auto()
    BEFORE_COMMIT = auto()
    """The server never sees it."""
    AFTER_COMMIT = auto()
    """The server commits, and its answer is lost."""


class PostgresProxy:
    """Passes everything on until told otherwise; cuts once, and counts."""

    def __init__(self, port: int) -> None:
        self.cut = Cut.NEVER
        self.refuses = False
        """Whether the server is away for good after the cut."""
        self.cuts = 0
        self.port = 0
        self._target = port
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def url(self, url: str) -> str:
        """Return the same database, through here."""
        return url.replace(f":{self._target}/", f":{self.port}/")

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection in."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses and self.cuts:
            writer.close()
            return
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._open |= {writer, server_writer}
        lost = asyncio.Event()
        await asyncio.gather(
            self._to_server(reader, server_writer, writer, lost),
            self._to_client(server_reader, writer, server_writer, lost),
            return_exceptions=True,  # either side may hang up whenever it likes
        )

    async def _to_server(
        self,
        reader: asyncio.StreamReader,
        server: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
        lost: asyncio.Event,
    ) -> None:
        while data := await reader.read(65536):
            if b"COMMIT" in data and self.cut is not Cut.NEVER:
                before, self.cut = self.cut is Cut.BEFORE_COMMIT, Cut.NEVER
                self.cuts += 1
                if before:
                    break
                lost.set()
            server.write(data)
            await server.drain()
        if not lost.is_set():
            client.transport.abort()
        server.close()

    async def _to_client(
        self,
        reader: asyncio.StreamReader,
        client: asyncio.StreamWriter,
        server: asyncio.StreamWriter,
        lost: asyncio.Event,
    ) -> None:
        while data := await reader.read(65536):
            if lost.is_set():
                client.transport.abort()
                server.close()
                return
            client.write(data)
            await client.drain()
        client.close()

    async def vanish(self) -> None:
        """Cut whatever is open and refuse whoever comes."""
        self.refuses, self.cuts = True, self.cuts + 1
        for writer in self._open:
            writer.transport.abort()

    def appear(self) -> None:
        """Take connections again."""
        self.refuses = False

    async def close(self) -> None:
        """Cut whatever is open."""
        await self.vanish()
        await asyncio.gather(*self._tasks)


@contextlib.asynccontextmanager
async def postgres_proxy(port: int) -> AsyncIterator[PostgresProxy]:
    """Listen in front of the server on ``port`` until the block ends."""
    proxy = PostgresProxy(port)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
