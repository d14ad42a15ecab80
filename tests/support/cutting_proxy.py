"""Where tests break the network: a TCP proxy that falls silent, delays, or closes one side."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

_CHUNK = 65_536
Side = Literal["agent", "nexus"]


@dataclass(eq=False, kw_only=True)
class _Wire:
    """One connection: what goes to the agent, what goes to Nexus, and whether it passes."""

    to_agent: asyncio.StreamWriter
    to_nexus: asyncio.StreamWriter
    is_cut: bool = False
    flowing: dict[Side, asyncio.Event] = field(
        default_factory=lambda: {"agent": asyncio.Event(), "nexus": asyncio.Event()}
    )


class CuttingProxy:
    """Forwards bytes to a Nexus until told otherwise; connections that come later are whole."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._wires: list[_Wire] = []
        self._server: asyncio.Server | None = None
        self._is_holding = asyncio.Event()
        self.connections = 0
        self.url = ""

    def cut(self) -> None:
        """Let no byte through any more on what is connected now; nobody is told."""
        for wire in self._wires:
            wire.is_cut = True

    def hang_up_on(self, side: Side) -> None:
        """Close one side's connections of now; the other is not told, and may go on writing."""
        for wire in self._wires:
            wire.is_cut = True
            (wire.to_agent if side == "agent" else wire.to_nexus).write_eof()

    def hold(self, side: Side) -> None:
        """Keep back whatever is sent to one side on what is connected now."""
        for wire in self._wires:
            wire.flowing[side].clear()

    async def has_held(self) -> None:
        """Wait until there is something that is kept back."""
        await self._is_holding.wait()

    def release(self) -> None:
        """Let through what was kept back, and all that follows."""
        for wire in self._wires:
            for flowing in wire.flowing.values():
                flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there = await asyncio.open_connection("localhost", self._target_port)
        wire = _Wire(to_agent=writer, to_nexus=there[1])
        self._wires.append(wire)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(
                self._forward(reader, wire, "nexus"), self._forward(there[0], wire, "agent")
            )
        for stream in (writer, there[1]):
            stream.close()
        self._wires.remove(wire)

    async def _forward(self, reader: asyncio.StreamReader, wire: _Wire, side: Side) -> None:
        writer = wire.to_agent if side == "agent" else wire.to_nexus
        flowing = wire.flowing[side]
        flowing.set()
        while chunk := await reader.read(_CHUNK):
            if not flowing.is_set():
                self._is_holding.set()
                await flowing.wait()
            if not wire.is_cut:
                writer.write(chunk)
                await writer.drain()
        if not wire.is_cut:
            writer.write_eof()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "localhost", 0)
        self.url = f"http://localhost:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Close everything."""
        assert self._server is not None
        self._server.close()
        for wire in self._wires:
            wire.to_agent.close()
            wire.to_nexus.close()
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
