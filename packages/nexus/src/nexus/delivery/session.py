"""Where a connected agent lives: its pump sends stored events in order, a window ahead of acks."""

import asyncio
from collections.abc import Sequence

from nexus import failpoints
from nexus.delivery.outlet import Outlet, OutletClosed
from nexus.delivery.patience import patiently
from nexus.services import events, sessions, views
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


class LiveSession:
    """One connected agent on this node, from the handshake to the end of the connection."""

    def __init__(self, platform: Platform, ref: SessionRef, outlet: Outlet, epoch: str) -> None:
        self.ref = ref
        self.epoch = epoch
        self.outlet = outlet
        self.last_heard = platform.clock()
        self._platform = platform
        self._acks = False
        self._sent = 0
        self._in_flight: set[int] = set()
        self._is_behind = True
        """Whether the store may hold events that come before any that are committed next."""
        self._wanted = asyncio.Event()
        self._gone = False
        self._changed = asyncio.Event()
        self._changed.set()  # it may be superseded before run() listens, so look once
        self._ready = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Whether the agent has announced itself, so that it may be sent things."""
        return self._ready.is_set()

    def heard(self) -> None:
        """Note that the agent spoke just now."""
        self.last_heard = self._platform.clock()

    def begin(self, *, acks: bool) -> None:
        """Start sending; ``acks`` says whether the agent acknowledges what it was sent."""
        self._acks = acks
        self._ready.set()
        self._wanted.set()

    def acknowledged(self, seqs: Sequence[int]) -> None:
        """Make room in the window."""
        self._in_flight.difference_update(seqs)
        if self._is_behind:
            self._wanted.set()

    def hang_up(self) -> None:
        """End the session because its connection is gone."""
        self._gone = True
        self._changed.set()

    async def run(self) -> None:
        """Pump until the connection ends or a newer session takes over."""
        bus, recent = self._platform.bus, self._platform.store.recent
        recent.expect(self.ref.agent_id)
        stops = (
            bus.listen(events.topic(self.ref.agent_id), self._wanted.set),
            bus.listen(sessions.topic(self.ref.agent_id), self._changed.set),
        )
        try:
            async with asyncio.TaskGroup() as group:
                pump = group.create_task(self._pump())
                await self._until_over()
                pump.cancel()
        except* OutletClosed:
            pass
        finally:
            for stop in stops:
                stop()
            recent.forget(self.ref.agent_id)
            await self.outlet.close()

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

    async def _until_over(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._gone:
                return
            newest = await patiently(self._newest)
            if newest is None or newest["closed_at"] is not None:
                return
            if newest["id"] != self.ref.session_id:
                superseded = SupersededPayload(session_id=newest["id"])
                await self.hint(EventType.SUPERSEDED, superseded)
                return

    async def _newest(self) -> Row | None:
        return await self._platform.store.read(sessions.current, self.ref.agent_id)

    async def _pump(self) -> None:
        await self._ready.wait()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await patiently(self._send_pending)

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
        if not self._is_behind:
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
        )
        failpoints.reach("emit.before")
        await self.outlet.send(row["type"], envelope)
        failpoints.reach("emit.after")
        self._sent = row["seq"]
        if self._acks:
            self._in_flight.add(row["seq"])

    async def _count_as_handled(self, seqs: Sequence[int]) -> None:
        await self._platform.store.write(events.acknowledge, self.ref.agent_id, seqs)
