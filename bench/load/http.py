"""Where HTTP load comes from: keep-alive connections that do nothing but POST.

By hand, because httpx2 takes about a millisecond a request, more than the server that is measured.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from urllib.parse import urlsplit

Reader = asyncio.StreamReader
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def request(url: str, path: str, body: Mapping[str, object], **headers: str) -> bytes:
    """Return a POST of JSON, ready to be written."""
    content = json.dumps(body).encode()
    head = {
        "Host": urlsplit(url).netloc,
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **headers,
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


async def _open(url: str) -> Stream:
    address = urlsplit(url)
    return await asyncio.open_connection(address.hostname, address.port)


class Connections:
    """A few keep-alive connections to one server; whoever posts waits for a free one."""

    def __init__(self, url: str, streams: list[Stream]) -> None:
        self._url = url
        self._idle: asyncio.Queue[Stream] = asyncio.Queue()
        self._count = len(streams)
        for stream in streams:
            self._idle.put_nowait(stream)

    async def post(self, prepared: bytes) -> bytes:
        """Send a prepared request and return the body of its answer.

        Raises:
            RuntimeError: the answer is not 2xx.
        """
        stream = await self._idle.get()
        try:
            if stream[0].at_eof():  # servers close what was idle for a while
                stream = await _open(self._url)
            stream[1].write(prepared)
            return await _answer(stream[0])
        finally:
            self._idle.put_nowait(stream)

    def close(self) -> None:
        """Close all connections; nobody may be posting."""
        while not self._idle.empty():
            self._idle.get_nowait()[1].close()

    async def flood(self, prepared: Iterable[bytes]) -> None:
        """Send all requests, each connection the next one as soon as it is free."""
        waiting = iter(prepared)

        async def drain() -> None:
            for one in waiting:
                await self.post(one)

        async with asyncio.TaskGroup() as group:
            for _ in range(self._count):
                group.create_task(drain())


async def _answer(reader: Reader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    status, _, fields = head.partition(b"\r\n")
    _, _, length = fields.lower().partition(b"content-length:")
    body = await reader.readexactly(int(length.split(b"\r\n", 1)[0]))
    if status.split(b" ")[1][:1] != b"2":
        raise RuntimeError(f"{status.decode()}: {body.decode()}")
    return body


@contextlib.asynccontextmanager
async def connections(url: str, count: int) -> AsyncIterator[Connections]:
    """Open connections until the block ends."""
    opened = Connections(url, [await _open(url) for _ in range(count)])
    try:
        yield opened
    finally:
        opened.close()
