"""Where tests get a peer that speaks WebSocket by hand, well or badly, frame by frame."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import orjson

from oblivion.protocol import NAMESPACE

DEADLINE_S = 10.0
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


def frame(
    payload: bytes, opcode: int = TEXT, *, first: int | None = None, masked: bool = True
) -> bytes:
    """Write one frame of a client; ``first`` overrides its first byte."""
    size = len(payload)
    if size < 126:
        head = bytes([size])
    elif size < 1 << 16:
        head = b"\x7e" + size.to_bytes(2)
    else:
        head = b"\x7f" + size.to_bytes(8)
    start = bytes([0x80 | opcode if first is None else first])
    if not masked:
        return start + head + payload
    mask = os.urandom(4)
    key = mask * (size // 4 + 1)
    body = (int.from_bytes(payload) ^ int.from_bytes(key[:size])).to_bytes(size)
    return start + bytes([head[0] | 0x80]) + head[1:] + mask + body


class RawPeer:
    """One WebSocket connection; reads frames only when told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def shake_hands(self, path: str, *headers: str) -> tuple[int, bytes]:
        """Ask for an upgrade; return the status and, where it is refused, the body."""
        defaults = {
            "Host": "localhost",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
        }
        named = dict(header.split(": ", 1) for header in headers)
        lines = [f"{name}: {value}" for name, value in {**defaults, **named}.items()]
        self.writer.write("\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode())
        status, _ = await self.answer()
        return status, b"" if status == 101 else await self._reader.read()

    async def answer(self) -> tuple[int, bytes]:
        """Return the status and the head of an HTTP answer."""
        async with asyncio.timeout(DEADLINE_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), head

    def send(self, packet: bytes | str) -> None:
        """Send a text message."""
        self.writer.write(frame(packet.encode() if isinstance(packet, str) else packet))

    async def receive(self) -> tuple[int, bytes]:
        """Return the next frame's opcode and payload; raises at the end of the stream."""
        async with asyncio.timeout(DEADLINE_S):
            first, size = await self._reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self._reader.readexactly(2))
            elif size == 127:
                size = int.from_bytes(await self._reader.readexactly(8))
            return first & 0x0F, await self._reader.readexactly(size)

    async def until(self, start: bytes | str) -> bytes:
        """Return the next text message that begins so; answer pings meanwhile, skip the rest."""
        wanted = start.encode() if isinstance(start, str) else start
        while True:
            opcode, payload = await self.receive()
            if opcode == TEXT and payload == b"2" != wanted:
                self.send("3")
            elif opcode == TEXT and payload.startswith(wanted):
                return payload
            elif opcode == CLOSE:
                raise AssertionError(f"closed while waiting for {start!r}: {payload!r}")

    async def until_closed(self) -> tuple[int | None, str]:
        """Skip what comes until the connection ends; return the close frame's code and reason."""
        said: tuple[int | None, str] = (None, "")
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                opcode, payload = await self.receive()
                if opcode == CLOSE:
                    said = (int.from_bytes(payload[:2]), payload[2:].decode())
                    self.writer.write(frame(payload[:2], CLOSE))
        return said

    async def until_cut(self) -> None:
        """Talk on without a word of closing, until the other end takes nothing any more."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    self.send("3")
                    await self.writer.drain()
                    await asyncio.sleep(0.01)

    async def call(self, number: int, name: str, data: Any) -> Any:
        """Send a call and return its acknowledgement."""
        self.send(b"42%b,%d%b" % (NAMESPACE.encode(), number, orjson.dumps([name, data])))
        start = f"43{NAMESPACE},{number}".encode()
        (answer,) = orjson.loads((await self.until(start))[len(start) :])
        return answer

    async def join(self, auth: Any) -> None:
        """Ask into the namespace and wait for the greeting."""
        self.send(b"40%b,%b" % (NAMESPACE.encode(), orjson.dumps(auth)))
        await self.until(f"40{NAMESPACE},")
        await self.until(f'42{NAMESPACE},["connected"')


@contextlib.asynccontextmanager
async def raw_connection(url: str) -> AsyncIterator[RawPeer]:
    """Open a TCP connection to a server until the block ends."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**20)
    try:
        yield RawPeer(reader, writer)
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def raw_peer(url: str, *, query: str = "") -> AsyncIterator[RawPeer]:
    """Open a WebSocket to the Socket.IO server at a URL, up to Engine.IO's handshake."""
    async with raw_connection(url) as peer:
        path = f"/socket.io/?EIO=4&transport=websocket{query}"
        assert (await peer.shake_hands(path))[0] == 101
        await peer.until("0")
        yield peer
