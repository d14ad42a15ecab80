"""Where the senders of one node live together and are stopped together."""

import asyncio
import contextlib
from collections.abc import Iterable

from nexus.delivery.caretaker import Caretaker
from nexus.delivery.dispatcher import Dispatcher
from nexus.delivery.errands import Errands
from nexus.delivery.hub import Hub
from nexus.delivery.neighbours import Neighbours
from nexus.delivery.outlet import Outlet
from nexus.delivery.session import LiveSession, Opened
from nexus.domain.errors import Forbidden, Unavailable
from nexus.domain.principal import Principal
from nexus.services import identity, sessions
from nexus.services.installation import epoch_of
from nexus.services.platform import Platform
from nexus.services.sessions import SessionRef
from nexus.store import Tx
from oblivion.protocol import EventType, ServerDrainingPayload, WireModel

RECONNECT_AFTER_MS = 1_000
_FLUSH_S = 2.0


class Delivery:
    """Owns the live sessions, the dispatcher and the caretaker of this node."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._hub = Hub()
        self._errands = Errands()
        self._dispatcher = Dispatcher(platform, self._hub)
        self._caretaker = Caretaker(platform, self._hub)
        self._neighbours = Neighbours(platform, self._hub)
        self.draining = False

    async def run(self) -> None:
        """Dispatch and take care until cancelled; if one fails, all stop loudly."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._dispatcher.run())
            group.create_task(self._caretaker.run())
            if self._platform.is_shared:
                group.create_task(self._neighbours.run())

    async def open(self, claimed: Principal, outlet: Outlet) -> LiveSession:
        """Make a session for a connection of whom its token names.

        Raises:
            Unauthenticated: an agent that may not come in now.
            Forbidden: the caller is not an agent.
            Unavailable: the store does not answer.
        """
        store = self._platform.store
        ref, epoch = await store.write(_open, claimed, self._platform.node_id)
        opened = Opened(ref=ref, epoch=epoch, outlet=outlet, errands=self._errands)
        session = LiveSession(self._platform, opened, self._close)
        older = self._hub.add(session)
        if older is not None:  # or newer: who of them came last, the store knows
            older.look()
            session.look()
        self._dispatcher.forget(ref.agent_id)
        return session

    async def _close(self, session: LiveSession) -> None:
        """Note that a connection is gone; its agent's leases go on for now.

        Where the store does not answer, silence closes the session later.
        """
        self._hub.remove(session)
        with contextlib.suppress(Unavailable):
            await self._platform.store.write(
                sessions.close_session, session.ref, "connection closed"
            )

    async def hint(self, agent_ids: Iterable[str], type_: EventType, payload: WireModel) -> None:
        """Tell those of these agents that are connected here; nobody else will hear of it."""
        for agent_id in agent_ids:
            session = self._hub.get(agent_id)
            if session is not None:
                await session.hint(type_, payload)

    async def finish(self) -> None:
        """See to the end of every session; their connections are gone by now, or go now."""
        for session in self._hub:
            session.hang_up()
        await self._errands.finish()

    async def drain(self) -> None:
        """Take no new agents and tell the connected ones when to come back."""
        self.draining = True
        self._platform.bus.wake([self._platform.draining_topic])
        payload = ServerDrainingPayload(reconnect_after_ms=RECONNECT_AFTER_MS)
        for session in self._hub:
            await session.hint(EventType.SERVER_DRAINING, payload)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_S):
                await asyncio.gather(*(session.outlet.flush() for session in self._hub))


def _open(tx: Tx, claimed: Principal, node_id: str) -> tuple[SessionRef, str]:
    """Judge the caller by what is stored now; its token may be older than that."""
    agent_id = identity.principal(tx, claimed).agent_id
    if agent_id is None:
        raise Forbidden("only agents connect here; use an agent's credentials")
    ref = sessions.open_session(tx, agent_id, node_id, token_id=claimed.token_id)
    return ref, epoch_of(tx)
