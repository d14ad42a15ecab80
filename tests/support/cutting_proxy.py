"""Where tests break the network: a proxy that falls silent, delays, closes, tears and swallows."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

_CHUNK = 65_536
Side = Literal["agent", "nexus"]
SIDES: tuple[Side, Side] = ("agent", "nexus")


@dataclass(kw_only=True)
class _Way:
    """One direction of a connection: where it ends, and what becomes of what takes it."""

    writer: asyncio.StreamWriter
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    is_silent: bool = False
    tears: bool = False
    loses: bytes | None = None

    def __post_init__(self) -> None:
        self.flowing.set()

    def end(self) -> None:
        """Say goodbye to whoever is at the end; what follows is lost."""
        self.is_silent = True
        if self.writer.can_write_eof() and not self.writer.is_closing():
            self.writer.write_eof()


_Wire = dict[Side, _Way]


class CuttingProxy:
    """Forwards bytes to a Nexus until told otherwise; connections that come later are whole."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._wires: list[_Wire] = []
        self._server: asyncio.Server | None = None
        self._is_holding = asyncio.Event()
        self._lost: asyncio.Queue[bytes] = asyncio.Queue()
        self._dead_ends: list[asyncio.StreamWriter] = []
        self.swallows_newcomers = False
        """Whether connections that come from now on are accepted and lead nowhere."""
        self.connections = 0
        self.url = ""

    def cut(self, *sides: Side) -> None:
        """Let no byte through to a side, or to neither; nobody is told."""
        for way in self._ways(*(sides or SIDES)):
            way.is_silent = True

    def hang_up_on(self, side: Side) -> None:
        """Close one side's connections of now; the other is not told, and may go on writing."""
        self.half_close(side)
        self.cut()

    def half_close(self, side: Side) -> None:
        """Tell one side that no more will come; what it says itself still gets through."""
        for way in self._ways(side):
            way.end()

    def abort(self) -> None:
        """End the connections of now at once, on both sides, without a goodbye."""
        for way in self._ways(*SIDES):
            way.writer.transport.abort()

    def tear(self, side: Side) -> None:
        """Let through half of the next thing that is sent to a side, then end the connection."""
        for way in self._ways(side):
            way.tears = True

    def lose(self, side: Side, what: bytes) -> None:
        """Swallow what is sent to a side and contains these bytes; all else gets through."""
        for way in self._ways(side):
            way.loses = what

    async def has_lost(self) -> bytes:
        """Return what was swallowed, once there is something."""
        return await self._lost.get()

    def hold(self, side: Side) -> None:
        """Keep back whatever is sent to one side on what is connected now."""
        for way in self._ways(side):
            way.flowing.clear()

    async def has_held(self) -> None:
        """Wait until there is something that is kept back."""
        await self._is_holding.wait()

    def release(self) -> None:
        """Let through what was kept back, and all that follows."""
        for way in self._ways(*SIDES):
            way.flowing.set()

    def _ways(self, *sides: Side) -> list[_Way]:
        return [wire[side] for wire in self._wires for side in sides]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.swallows_newcomers:
            self._dead_ends.append(writer)
            return
        from_nexus, to_nexus = await asyncio.open_connection("localhost", self._target_port)
        wire: _Wire = {"agent": _Way(writer=writer), "nexus": _Way(writer=to_nexus)}
        self._wires.append(wire)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(
                self._forward(reader, wire["nexus"]), self._forward(from_nexus, wire["agent"])
            )
        for way in wire.values():
            way.writer.close()
        self._wires.remove(wire)

    async def _forward(self, reader: asyncio.StreamReader, way: _Way) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            async for raw, said in _pieces(reader):
                await self._pass_on(raw, said, way)
        if not way.is_silent:
            way.end()

    async def _pass_on(self, raw: bytes, said: bytes, way: _Way) -> None:
        if not way.flowing.is_set():
            self._is_holding.set()
            await way.flowing.wait()
        if way.loses is not None and way.loses in said:
            self._lost.put_nowait(said)
        elif not way.is_silent:
            way.writer.write(raw[: len(raw) // 2] if way.tears else raw)
            await way.writer.drain()
            if way.tears:
                raise ConnectionResetError("torn")

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "localhost", 0)
        self.url = f"http://localhost:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Close everything."""
        assert self._server is not None
        self._server.close()
        self.release()
        for writer in [*(way.writer for way in self._ways(*SIDES)), *self._dead_ends]:
            writer.close()
        await self._server.wait_closed()


async def _pieces(reader: asyncio.StreamReader) -> AsyncIterator[tuple[bytes, bytes]]:
    """Return what comes, frame by frame in a WebSocket, each beside what it says."""
    head = await reader.readuntil(b"\r\n\r\n")
    yield head, head
    while b"upgrade: websocket" in head.lower():
        yield await _frame(reader)
    while chunk := await reader.read(_CHUNK):
        yield chunk, chunk


async def _frame(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return a frame and its payload (RFC 6455, section 5.2)."""
    head = await reader.readexactly(2)
    is_masked, size = head[1] >> 7, head[1] & 0x7F
    more = await reader.readexactly({126: 2, 127: 8}.get(size, 0))
    size = int.from_bytes(more) if more else size
    mask = await reader.readexactly(4 * is_masked)
    body = await reader.readexactly(size)
    said = bytes(byte ^ mask[at % 4] for at, byte in enumerate(body)) if is_masked else body
    return head + more + mask + body, said


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
