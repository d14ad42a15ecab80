"""Where deliveries are made: claimed from their box, handed to whoever can, and recorded."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nexus.delivery.patience import patiently
from nexus.domain.deliveries import pause_ms
from nexus.domain.errors import NexusError, Unavailable
from nexus.services import deliveries
from nexus.services.platform import Platform
from nexus.store import Tx
from nexus.store.tx import Row

POLL_S = 1.0
LANES = 16
"""How many lanes one node sees to at once."""

HALT_S = 30.0
"""How long a box rests whose other side refuses to talk with us."""

Record = Callable[[Tx], object]
Handler = Callable[[Row], Awaitable[Record]]
"""Does what is to be done outside, and returns what is to be recorded with the end of it.

It may raise :class:`Postponed`, :class:`Undeliverable` or :class:`Halted`.
"""

_log = logging.getLogger("nexus.integrations")


class Postponed(Exception):
    """It could not be done now; ``after_ms`` is when to try again, else that is decided by tries.

    ``unsure`` says that it may have been done all the same.
    """

    def __init__(
        self, why: str, *, after_ms: int | None = None, counts: bool = True, unsure: bool = False
    ) -> None:
        super().__init__(why)
        self.why = why
        self.after_ms = after_ms
        self.counts = counts
        self.unsure = unsure


class Undeliverable(Exception):
    """It cannot be done, however often it is tried; the message says why."""


class Halted(Exception):
    """The other side refuses to talk with us at all; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box with its ways: ``gap_ms`` between two of a lane, so many of a lane ``together``."""

    name: str
    handle: Handler
    gap_ms: int = 0
    together: int = 1


class Worker:
    """Sees to one box on this node, until cancelled."""

    def __init__(self, platform: Platform, box: Box, halted: Callable[[str | None], None]) -> None:
        self._platform = platform
        self._box = box
        self._tell = halted
        self._halted = False
        self._lanes: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Deliver until cancelled; what is under way is claimed again once its claim ran out."""
        wanted = asyncio.Event()
        stop = self._platform.bus.listen(deliveries.topic(self._box.name), wanted.set)
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    wanted.clear()
                    await self._begin(group)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(await self._patience()):
                            await wanted.wait()
        finally:
            stop()

    async def _begin(self, group: asyncio.TaskGroup) -> None:
        room = LANES - len(self._lanes)
        if self._halted or not room:
            return
        store, box = self._platform.store, self._box
        for rows in await patiently(
            lambda: store.write(deliveries.claim, box.name, limit=room, together=box.together)
        ):
            lane = group.create_task(self._see_to(rows), name=f"{box.name} {rows[0]['lane']}")
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)

    async def _patience(self) -> float:
        """Return for how many seconds there is surely nothing to do."""
        store = self._platform.store
        due = await patiently(lambda: store.read(deliveries.next_due, self._box.name))
        if due is None:
            return POLL_S
        return min(max((due - self._platform.clock()) / 1000, 0.01), POLL_S)

    async def _see_to(self, rows: list[Row]) -> None:
        """Deliver these in order, and stop at the first that has to wait."""
        rest = iter(rows)
        for row in rest:
            if not await self._deliver(row):
                break
        left = list(rest)
        if left:
            await patiently(lambda: self._platform.store.write(deliveries.release, left))

    async def _deliver(self, row: Row) -> bool:
        """See to one; say whether the next may go ahead."""
        try:
            record = await self._box.handle(row)
        except Postponed as later:
            await self._postpone(row, later)
            return False
        except Undeliverable as refusal:
            await self._write(deliveries.fail, row, str(refusal))
            return True
        except Halted as halt:
            await self._halt(row, str(halt))
            return False
        except Unavailable as error:
            await self._postpone(row, Postponed(error.message, counts=False))
            return False
        except Exception as error:  # noqa: BLE001 - one that breaks must not stop the others
            _log.exception("delivery_broke", extra={"delivery": row["id"], "kind": row["kind"]})
            await self._postpone(row, Postponed(f"{type(error).__name__}: {error}", unsure=True))
            return False
        return await self._record(row, record)

    async def _record(self, row: Row, record: Record) -> bool:
        def done(tx: Tx) -> None:
            deliveries.end(tx, row, gap_ms=self._box.gap_ms)
            record(tx)

        try:
            await patiently(lambda: self._platform.store.write(done))
        except NexusError as refusal:
            await self._write(deliveries.fail, row, refusal.message)
        return True

    async def _postpone(self, row: Row, later: Postponed) -> None:
        tries = row["tries"] + later.counts
        after = later.after_ms if later.after_ms is not None else pause_ms(tries, random.random())
        await self._write(
            deliveries.postpone,
            row,
            later.why,
            after_ms=after,
            counts=later.counts,
            unsure=later.unsure,
        )

    async def _write(self, service: Callable[..., None], row: Row, *args: str, **how: int) -> None:
        """Record what became of a claim, unless it ran out meanwhile."""
        with contextlib.suppress(NexusError):
            await patiently(lambda: self._platform.store.write(service, row, *args, **how))

    async def _halt(self, row: Row, why: str) -> None:
        await self._write(deliveries.postpone, row, why, after_ms=0, counts=False)
        if not self._halted:
            self._halted = True
            self._tell(why)
            asyncio.get_running_loop().call_later(HALT_S, self._go_on)

    def _go_on(self) -> None:
        """Try again, and say so once it works: whoever still refuses halts the box anew."""
        self._halted = False
        self._tell(None)
        self._platform.bus.wake([deliveries.topic(self._box.name)])
