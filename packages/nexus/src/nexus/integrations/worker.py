"""Where deliveries are made: claimed from their box, handed to whoever can, and recorded."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

import structlog
from prometheus_client import Counter

from nexus.delivery.patience import patiently
from nexus.domain.audit_chain import End
from nexus.domain.deliveries import pause_ms
from nexus.domain.errors import Conflict, NexusError, Unavailable
from nexus.services import deliveries
from nexus.services.platform import Platform
from nexus.store import Tx
from nexus.store.tx import Row

POLL_S = 1.0
"""How long a delivery that another node stored may go unnoticed."""

LANES = 16
"""How many lanes one node sees to at once."""

PATIENCE_S = 45.0
"""How long a handler may take: well within its claim, so that nobody else begins meanwhile."""

HALT_S = 30.0
"""How long a box rests whose other side refuses to talk with us."""

FINISH_S = 3.0
"""How long what is under way may take to end once the worker is told to stop."""

_BRIEFLY_S = 0.05
"""How long to wait where others are about what is due."""

Record = Callable[[Tx], End | None]
"""Writes what is to be recorded; the store may run it again from the start, as any service.

Returns the end of the audit log where it has added to that.
"""
Handler = Callable[[Row], Awaitable[Record]]
"""Does what is to be done outside, and returns what is to be recorded with the end of it.

It may raise :class:`Postponed`, :class:`Undeliverable` or :class:`Halted`. What else it raises, and
to take longer than :data:`PATIENCE_S`, counts as a try of which nobody knows what it did.
"""

P = ParamSpec("P")
R = TypeVar("R")

_log = structlog.get_logger("nexus.integrations")
_ended = Counter("nexus_deliveries", "Deliveries by what became of a try", ["box", "outcome"])


def nothing(_tx: Tx) -> None:
    """Record nothing but the end."""


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


class _Refused(Exception):
    """The record was refused, not the store; ``__cause__`` is the refusal."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box with its ways: ``gap_ms`` between two of a lane, so many of a lane ``together``.

    After those the other lanes have their turn.
    """

    name: str
    handle: Handler
    gap_ms: int = 0
    together: int = 1


@dataclass(frozen=True, kw_only=True)
class _Claim:
    """A claimed delivery; ``until`` is when to be done with it, by the event loop's clock."""

    row: Row
    until: float


class Worker:
    """Sees to one box on this node, until cancelled.

    ``halted`` is told why the box rests, and None once a delivery was made again.
    """

    def __init__(self, platform: Platform, box: Box, halted: Callable[[str | None], None]) -> None:
        self._platform = platform
        self._box = box
        self._tell = halted
        self._halted = False
        self._rests_until = 0.0
        self._lanes: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def run(self) -> None:
        """Deliver until cancelled, then finish what is under way, if that ends soon.

        What does not end in time is claimed again once its claim ran out.
        """
        wanted = asyncio.Event()
        stop = self._platform.bus.listen(deliveries.topic(self._box.name), wanted.set)
        work = asyncio.create_task(self._work(wanted), name=f"{self._box.name} work")
        try:
            await asyncio.shield(work)
        finally:
            stop()
            self._stopping = True
            wanted.set()
            await _finish(work)

    async def _work(self, wanted: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            while not self._stopping:
                wanted.clear()
                pause = await self._begin(group, wanted)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await wanted.wait()

    async def _begin(self, group: asyncio.TaskGroup, wanted: asyncio.Event) -> float:
        """Begin with what is due; return for how many seconds there is surely nothing more."""
        room, rest = LANES - len(self._lanes), self._rests_until - _now()
        if not room or rest > 0:
            return rest if rest > 0 else POLL_S
        store, name = self._platform.store, self._box.name
        due = await patiently(lambda: store.glance(deliveries.next_due, name))
        if due != 0:
            return POLL_S if due is None else min(due / 1000, POLL_S)
        rows, until = await self._claiming(deliveries.claim, name, limit=room)
        for row in rows:
            lane = group.create_task(self._see_to(_Claim(row=row, until=until)), name=row["lane"])
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
            lane.add_done_callback(lambda _: wanted.set())
        return 0 if rows else _BRIEFLY_S

    async def _see_to(self, claim: _Claim) -> None:
        """Deliver from one lane as long as it is its turn."""
        left, next_ = self._box.together, await self._deliver(claim, go_on=self._box.together > 1)
        while next_ is not None:
            left -= 1
            next_ = await self._deliver(next_, go_on=left > 1 and not self._stopping)

    async def _deliver(self, claim: _Claim, *, go_on: bool) -> _Claim | None:
        """See to one; return the next of its lane, if it was claimed with the end of this one."""
        if self._stopping or self._rests_until > _now() or claim.until <= _now():
            await self._note("released", deliveries.release, [claim.row])
            return None
        try:
            async with asyncio.timeout_at(claim.until):
                record = await self._box.handle(claim.row)
            next_ = await self._record(claim.row, record, go_on=go_on)
        except Exception as error:  # noqa: BLE001 - one that breaks must not stop the others
            await self._note_error(claim.row, error)
            return None
        self._went_well()
        return next_

    async def _record(self, row: Row, record: Record, *, go_on: bool) -> _Claim | None:
        """Record what was done with its end, all or nothing.

        Raises:
            _Refused: a rule forbids what is to be recorded.
        """
        gap_ms = self._box.gap_ms
        try:
            (next_, end), until = await self._claiming(
                _end, row, record, gap_ms=gap_ms, go_on=go_on
            )
        except Conflict:
            _log.warning("delivery_claim_lost", **_named(row))
            return None
        if end is not None:
            await self._platform.anchor.hold(end)
        _ended.labels(self._box.name, "done").inc()
        return None if next_ is None else _Claim(row=next_, until=until)

    async def _claiming(
        self, service: Callable[Concatenate[Tx, P], R], *args: P.args, **how: P.kwargs
    ) -> tuple[R, float]:
        """Run a service that claims; return its result with the time by which to be done."""

        async def attempt() -> tuple[R, float]:
            until = _now() + PATIENCE_S  # from before the claim began
            return await self._platform.store.write(service, *args, **how), until

        return await patiently(attempt)

    # --- what becomes of those that were not made

    async def _note_error(self, row: Row, error: Exception) -> None:
        cause = error.__cause__ if isinstance(error, _Refused) else None
        if isinstance(error, Halted):
            self._halt(str(error))
            await self._note("released", deliveries.release, [row])
        elif isinstance(error, Undeliverable):
            await self._note("failed", deliveries.fail, row, str(error))
        elif isinstance(cause, NexusError) and not cause.retryable:
            await self._note("failed", deliveries.fail, row, cause.message)
        else:
            await self._postpone(row, self._understood(row, error))

    def _understood(self, row: Row, error: Exception) -> Postponed:
        """Return an error as a delay; of whatever broke off nobody knows what it had done."""
        cause = error.__cause__ if isinstance(error, _Refused) else error
        if isinstance(cause, Postponed):
            return cause
        if isinstance(cause, Unavailable):
            wait = cause.retry_after * 1000
            return Postponed(cause.message, after_ms=wait, counts=False, unsure=True)
        if isinstance(cause, TimeoutError):
            return Postponed("it took too long", unsure=True)
        _log.error("delivery_broke", **_named(row), exc_info=error)
        return Postponed(f"{type(cause).__name__}: {cause}", unsure=True)

    async def _postpone(self, row: Row, later: Postponed) -> None:
        tries = row["tries"] + later.counts
        after = later.after_ms if later.after_ms is not None else pause_ms(tries, random.random())
        await self._note(
            "postponed",
            deliveries.postpone,
            row,
            later.why,
            after_ms=after,
            counts=later.counts,
            unsure=later.unsure,
        )

    async def _note(
        self,
        outcome: str,
        service: Callable[Concatenate[Tx, P], None],
        *args: P.args,
        **how: P.kwargs,
    ) -> None:
        """Write what became of a claim, unless it ran out meanwhile."""
        with contextlib.suppress(Conflict):
            await patiently(lambda: self._platform.store.write(service, *args, **how))
            _ended.labels(self._box.name, outcome).inc()

    # --- whether the other side talks with us

    def _halt(self, why: str) -> None:
        self._rests_until = _now() + HALT_S
        if not self._halted:
            self._halted = True
            self._tell(why)

    def _went_well(self) -> None:
        if self._halted:
            self._halted = False
            self._tell(None)


def _end(
    tx: Tx, row: Row, record: Record, *, gap_ms: int, go_on: bool
) -> tuple[Row | None, End | None]:
    """Record what was done; return the next of its lane, and the end of the audit log."""
    ends: list[End | None] = []

    def recorded(tx: Tx) -> None:
        try:
            ends.append(record(tx))
        except NexusError as refusal:
            raise _Refused from refusal

    next_ = deliveries.end(tx, row, recorded, gap_ms=gap_ms, go_on=go_on)
    return next_, ends[0]


async def _finish(work: asyncio.Task[None]) -> None:
    """Wait a while until what is under way has ended, then end it."""
    try:
        await asyncio.wait([work], timeout=FINISH_S)
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _named(row: Row) -> dict[str, object]:
    return {"delivery": row["id"], "box": row["box"], "kind": row["kind"]}
