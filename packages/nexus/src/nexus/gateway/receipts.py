"""Where acknowledgements of events are written: all that come in a moment by one command."""

import asyncio
from dataclasses import dataclass, field

from nexus.delivery import patiently
from nexus.gateway.calls import Context, acknowledge
from nexus.services.platform import Platform
from oblivion.protocol import EventAck


@dataclass(kw_only=True)
class _Batch:
    acks: list[tuple[Context, EventAck]] = field(default_factory=list)
    written: asyncio.Task[None]


class Receipts:
    """Writes what a node's agents acknowledge; what comes meanwhile is written together next.

    Nobody is answered an acknowledgement, so each may wait for the one before, and for a database
    that is away.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._next: _Batch | None = None
        self._turn = asyncio.Lock()

    async def write(self, context: Context, ack: EventAck) -> None:
        """Write an acknowledgement and return once it is on disk."""
        if self._next is None:
            writing = asyncio.get_running_loop().create_task(self._write(), name="receipts")
            self._next = _Batch(written=writing)
        self._next.acks.append((context, ack))
        await asyncio.shield(self._next.written)

    async def _write(self) -> None:
        async with self._turn:
            batch, self._next = self._next, None
            acks = [] if batch is None else batch.acks
            await patiently(lambda: self._platform.store.write(acknowledge, acks))
