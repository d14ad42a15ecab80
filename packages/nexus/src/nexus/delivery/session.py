"""Where a connected agent lives: its pump sends stored events in order, a window ahead of acks."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from nexus import failpoints
from nexus.delivery.errands import Errands
from nexus.delivery.outlet import Outlet, OutletClosed
from nexus.delivery.patience import patiently
from nexus.domain.errors import NotReady
from nexus.services import events, redelivery, sessions, views
from nexus.services.platform import Platform
from nexus.services.sessions import SessionRef
from nexus.store.tx import Row
from oblivion.protocol import (
    EventType,
    HeartbeatPayload,
    SupersededPayload,
    WireModel,
    wrap,
)

WINDOW = 64
_LAST_WORDS_S = 1.0
"""For what an agent was told just before its session was closed by somebody else."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What a session begins with: who it is, in which history, by which connection."""

    ref: SessionRef
    epoch: str
    outlet: Outlet
    errands: Errands


Farewell = Callable[["LiveSession"], Awaitable[None]]


class LiveSession:
    """One connected agent on this node, from the handshake to the end of the connection.

    While nothing happens no task of it runs. ``farewell`` is awaited once, after its end.
    """

    def __init__(self, platform: Platform, opened: Opened, farewell: Farewell) -> None:
        self.ref = opened.ref
        self.epoch = opened.epoch
        self.outlet = opened.outlet
        self.last_heard = platform.clock()
        self._platform = platform
        self._errands = opened.errands
        self._farewell = farewell
        self._is_ready = False
        self._is_unnoted = False
        self._is_over = False
        self._is_ending = False
        self._acks = False
        self._sent = 0
        self._in_flight: dict[int, int] = {}
        """When what is not acknowledged yet was sent, by its number."""
        self._is_behind = True
        """Whether the store may hold events that come before any that are committed next."""
        self._is_sending = False
        self._has_more = False
        bus, agent_id = platform.bus, self.ref.agent_id
        platform.store.recent.expect(agent_id)
        self._stops = (
            bus.listen(events.topic(agent_id), self._wake),
            bus.listen(sessions.topic(agent_id), self.look),
        )

    @property
    def is_ready(self) -> bool:
        """Whether the agent has announced itself, so that it may be sent things."""
        return self._is_ready

    @property
    def acks(self) -> bool:
        """Whether the agent said that it acknowledges events."""
        return self._acks

    def heard(self) -> None:
        """Note that the agent spoke just now."""
        self.last_heard = self._platform.clock()

    def still_there(self) -> None:
        """Note a sign of life that asks for nothing else; the store is told of many at once."""
        self._is_unnoted = True

    def take_note(self) -> bool:
        """Return whether there is a sign of life that the store does not know; it will now."""
        unnoted, self._is_unnoted = self._is_unnoted, False
        return unnoted

    def begin(self, *, acks: bool, head: int, first: int | None) -> None:
        """Start sending; ``acks`` says whether the agent acknowledges what it was sent.

        ``head`` is the number of its newest event, ``first`` of the oldest that it must be sent,
        None where it has them all.
        """
        if not self._is_ready:  # else it only says anew what it can do
            self._sent = head if first is None else first - 1
            self._is_behind = first is not None
        self._acks = acks
        self._is_ready = True
        if self._is_behind or self._has_more:
            self._wake()

    def sent_at(self, seqs: Sequence[int]) -> dict[int, int]:
        """Return when those of these events that are under way were sent."""
        return {seq: self._in_flight[seq] for seq in seqs if seq in self._in_flight}

    def acknowledged(self, seqs: Sequence[int]) -> None:
        """Make room in the window."""
        for seq in seqs:
            self._in_flight.pop(seq, None)
        if self._is_behind:
            self._wake()

    def hang_up(self) -> None:
        """End the session: its connection is gone, or shall be."""
        if self._is_over:
            return
        self._is_over = True
        self._is_ready = False
        for stop in self._stops:
            stop()
        self._platform.store.recent.forget(self.ref.agent_id)
        self._errands.run(self._leave())

    def look(self) -> None:
        """Find out whether the session is still its agent's newest, and end it if not."""
        if not self._is_over:
            self._errands.run(self._end_if_replaced())

    async def hint(self, type_: EventType, payload: WireModel) -> None:
        """Send something that is not stored; a connection that just closed misses it."""
        try:
            await self.outlet.send(
                type_, wrap(type_, payload, views.moment(self._platform.clock()))
            )
        except OutletClosed:
            return

    async def ping(self) -> None:
        """Ask the agent for a sign of life."""
        now = views.moment(self._platform.clock())
        await self.hint(EventType.HEARTBEAT, HeartbeatPayload(ping=True, server_time=now))

    async def _leave(self) -> None:
        await self.outlet.close()
        await self._farewell(self)

    async def _end_if_replaced(self) -> None:
        newest = await patiently(self._newest)
        if newest is None or newest["closed_at"] is not None:
            self._say_the_rest()
        elif newest["id"] != self.ref.session_id:
            await self.hint(EventType.SUPERSEDED, SupersededPayload(session_id=newest["id"]))
            self.hang_up()

    def _say_the_rest(self) -> None:
        """Send what there still is, e.g. that a task was taken from the agent; then hang up."""
        self._is_ending = self._is_behind = True
        self._wake()
        if self._is_sending:
            asyncio.get_running_loop().call_later(_LAST_WORDS_S, self.hang_up)
        else:
            self.hang_up()

    async def _newest(self) -> Row | None:
        return await self._platform.store.read(sessions.current, self.ref.agent_id)

    def _wake(self) -> None:
        """Send what there is to send; while that goes on, look again afterwards."""
        self._has_more = True
        if self._is_ready and not self._is_sending:
            self._is_sending = True
            self._errands.run(self._pump())

    async def _pump(self) -> None:
        try:
            while self._has_more and not self._is_over:
                self._has_more = False
                await patiently(self._send_pending)
        except (OutletClosed, NotReady):  # the latter before a gap, told as the agent comes back
            self.hang_up()
        finally:
            self._is_sending = False
        if self._is_ending:
            self.hang_up()

    async def _send_pending(self) -> None:
        while room := WINDOW - len(self._in_flight):
            rows = await self._next(room)
            for row in rows:
                await self._send(row)
            if rows and not self._acks:
                await self.outlet.flush()
                await self._count_as_handled([row["seq"] for row in rows])
            if len(rows) < room:
                self._is_behind = False
                return
        self._is_behind = True

    async def _next(self, room: int) -> Sequence[Row]:
        """Return the events to send next: those just committed, where no others come first."""
        store, agent_id = self._platform.store, self.ref.agent_id
        if self._is_behind:  # what is sent late may be over by now
            return await store.read(redelivery.pending, agent_id, after=self._sent, limit=room)
        fresh = store.recent.take(agent_id, after=self._sent)
        if fresh is not None and len(fresh) <= room:
            return fresh
        return await store.read(events.pending, agent_id, after=self._sent, limit=room)

    async def _send(self, row: Row) -> None:
        envelope = wrap(
            row["type"],
            row["payload"],
            views.moment(row["created_at"]),
            id_=row["id"],
            seq=row["seq"],
            withdrawn="withdrawn" in row,
        )
        if row["traceparent"] is not None:
            envelope["traceparent"] = row["traceparent"]
        failpoints.reach("emit.before")
        await self.outlet.send(row["type"], envelope)
        failpoints.reach("emit.after")
        self._sent = row["seq"]
        if self._acks:
            self._in_flight[row["seq"]] = self._platform.clock()

    async def _count_as_handled(self, seqs: Sequence[int]) -> None:
        sent = dict.fromkeys(seqs, self._platform.clock())
        await self._platform.store.write(events.acknowledge, self.ref.agent_id, seqs, sent)
