"""Where one connection to the fake Nexus is written to, in order, with the faults it was told."""

import asyncio
from collections.abc import Callable
from typing import Any

from oblivion._clock import Clock, sleep
from oblivion.protocol import NAMESPACE
from oblivion.testing._faults import Faults


class SocketLine:
    """One Socket.IO connection, seen from the server."""

    def __init__(self, sio: Any, sid: str, request: Any, clock: Clock, faults: Faults) -> None:
        self.sid = sid
        self._sio = sio
        self._request = request
        self._clock = clock
        self._faults = faults
        self._outgoing: asyncio.Queue[Callable[[], Any]] = asyncio.Queue()
        self._writer = asyncio.create_task(self._write(), name="fake-nexus-line")

    def send(self, type_: str, data: dict[str, Any]) -> None:
        """Send an event, after those that were sent before."""

        async def emit() -> None:
            if delay := self._faults.take_delay(type_):
                await sleep(self._clock, delay)
            for _ in range(2 if self._faults.take_duplicate(type_) else 1):
                await self._sio.emit(type_, data, to=self.sid, namespace=NAMESPACE)

        self._outgoing.put_nowait(emit)

    def hang_up(self) -> None:
        """Close, after what was sent."""
        self._outgoing.put_nowait(self._hang_up)

    def cut(self) -> None:
        """Close at once, without a word, as a network does."""
        self._writer.cancel()
        if self._request.transport is not None:
            self._request.transport.abort()

    def end(self) -> None:
        """Write no more: the connection is gone."""
        self._writer.cancel()

    async def _hang_up(self) -> None:
        await self._sio.disconnect(self.sid, namespace=NAMESPACE)

    async def _write(self) -> None:
        while True:
            send = await self._outgoing.get()
            await send()
