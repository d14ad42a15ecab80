"""Where load for a Socket.IO server side comes from: thousands of connections spoken by hand."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import psutil

from raw_peer import frame
from socketio_sides import TOKEN

_SIDES = Path(__file__).with_name("socketio_sides.py")
_UPGRADE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_TASK_UPDATE = {
    "type": "task_update",
    "payload": {"taskId": "01JD0000000000000000000000", "attempt": 1, "status": "DONE"},
    "timestamp": "2026-01-01T00:00:00.000Z",
    "id": "01JD0000000000000000000001",
}
"""As long as what an agent sends when it ends a task."""
_CALL = frame(b"42/agents,1" + orjson.dumps(["echo", _TASK_UPDATE]))
_JOIN = frame(b"40/agents," + orjson.dumps({"token": TOKEN}))
_CONNECT_AT_ONCE = 50


@dataclass(frozen=True, kw_only=True)
class Side:
    """A server side that runs as a process of its own."""

    url: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """Return the processor time that it has taken."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def rss(self) -> int:
        """Return the memory that it holds."""
        return int(self.process.memory_info().rss)


@contextlib.asynccontextmanager
async def side_process(side: str) -> AsyncIterator[Side]:
    """Run a server side as a process until the block ends."""
    process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
        [sys.executable, _SIDES, side], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        url = (await asyncio.to_thread(process.stdout.readline)).decode().strip()
        yield Side(url=url, process=psutil.Process(process.pid))
    finally:
        process.kill()
        process.communicate()


class Caller(asyncio.Protocol):
    """One connection that joins, answers pings, and has so many calls answered as it is told."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.joined: asyncio.Future[None] = loop.create_future()
        self.done: asyncio.Future[None] = loop.create_future()
        self._rest = b""
        self._is_upgraded = False
        self._to_send = self._to_come = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a socket's
        self.transport.write(_UPGRADE)

    def data_received(self, data: bytes) -> None:
        self._rest += data
        if not self._is_upgraded:
            head, end, self._rest = self._rest.partition(b"\r\n\r\n")
            self._is_upgraded = bool(end)
            if not end:
                self._rest = head
                return
        answers = b"".join(self._answer(packet) for packet in self._packets())
        if answers:
            self.transport.write(answers)

    def call(self, count: int, window: int) -> None:
        """Have so many calls answered, so many of them under way at once."""
        self._to_come, self._to_send = count, count - window
        self.transport.write(_CALL * window)

    def _answer(self, packet: bytes) -> bytes:
        if packet.startswith(b"43"):
            self._to_come -= 1
            self._to_send -= 1
            if not self._to_come:
                self.done.set_result(None)
            return _CALL if self._to_send >= 0 else b""
        if packet.startswith(b"0"):
            return _JOIN
        if packet == b"2":
            return frame(b"3")
        if b'["connected"' in packet:
            self.joined.set_result(None)
        return b""

    def _packets(self) -> list[bytes]:
        packets, at, data = [], 0, self._rest
        while len(data) - at >= 2:
            size, start = data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(data[start : start + 2]), at + 4
            if len(data) < start + size:
                break
            packets.append(data[start : start + size])
            at = start + size
        self._rest = data[at:]
        return packets


@contextlib.asynccontextmanager
async def callers(side: Side, count: int) -> AsyncIterator[list[Caller]]:
    """Connect and join so many times until the block ends."""
    port = int(side.url.rpartition(":")[2])
    made: list[Caller] = []
    turns = iter(range(count))

    async def connect() -> None:
        for _ in turns:
            loop = asyncio.get_running_loop()
            _, caller = await loop.create_connection(Caller, "127.0.0.1", port)
            made.append(caller)
            await caller.joined

    try:
        await asyncio.gather(*(connect() for _ in range(_CONNECT_AT_ONCE)))
        yield made
    finally:
        for caller in made:
            caller.transport.abort()


async def echoes_per_cpu_second(side: Side, *, count: int) -> float:
    """Return how many calls a side answers in a second of processor time."""
    async with callers(side, 10) as connected:
        began = side.cpu_s()
        for caller in connected:
            caller.call(count // 10, window=64)
        await asyncio.gather(*(caller.done for caller in connected))
        return count / (side.cpu_s() - began)


@dataclass(frozen=True, kw_only=True)
class Idleness:
    """What connections that do nothing cost."""

    kib_each: float
    connect_us: float
    """Processor time of one connect, in microseconds."""
    connects_a_second: float
    cpu_share: float
    """Of one processor, for all of them."""


async def idleness(side: Side, *, count: int, seconds: float) -> Idleness:
    """Measure so many idle connections, after a first few that warm everything up."""
    async with callers(side, 100):
        memory, cpu, clock = side.rss(), side.cpu_s(), time.perf_counter()
        async with callers(side, count):
            took, busy = time.perf_counter() - clock, side.cpu_s() - cpu
            await asyncio.sleep(seconds)  # what it costs to do nothing for so long
            grown, since = side.rss() - memory, side.cpu_s() - cpu - busy
    return Idleness(
        kib_each=grown / count / 1024,
        connect_us=busy / count * 1e6,
        connects_a_second=count / took,
        cpu_share=since / seconds,
    )
