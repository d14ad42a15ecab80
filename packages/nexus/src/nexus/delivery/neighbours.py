"""Where a node notices what other nodes did to its agents: one look a second for all of them."""

import asyncio

from nexus.delivery.hub import Hub
from nexus.domain.errors import Unavailable
from nexus.services import events, presence, sessions, stops
from nexus.services.platform import Platform

POLL_S = 1.0
_PATIENCE_S = 5.0


class Neighbours:
    """Wakes the sessions whose agents have news from elsewhere, or have moved there.

    A node that is cut off from the database lets go of its agents while their leases still run:
    another node may be able to serve them.
    """

    def __init__(self, platform: Platform, hub: Hub) -> None:
        self._platform = platform
        self._hub = hub
        self._heads: dict[str, int] = {}
        self._answered = 0.0

    async def run(self) -> None:
        """Look until cancelled."""
        now = asyncio.get_running_loop().time
        self._answered = now()
        while True:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await self.look()
                    await self._cut_late()
                self._answered = now()
            except (Unavailable, TimeoutError):
                if (now() - self._answered) * 1000 >= self._platform.limits.lease_ms / 3:
                    self._let_go()
            await asyncio.sleep(POLL_S)

    async def look(self) -> None:
        """Wake whoever there is something for."""
        if not self._hub:
            self._heads.clear()
            return
        node_id = self._platform.node_id
        found = await self._platform.store.read(presence.attended, node_id)
        here = {session.ref.agent_id: session.ref.session_id for session in self._hub}
        attended = {row["agent_id"]: row["id"] for row in found}
        moved = [agent for agent, session in here.items() if attended.get(agent) != session]
        heads = {row["agent_id"]: row["event_seq"] for row in found}
        told = [agent for agent, head in heads.items() if self._heads.get(agent) != head]
        self._heads = heads
        self._platform.bus.wake([*map(sessions.topic, moved), *map(events.topic, told)])

    async def _cut_late(self) -> None:
        """Cut off agents that came in while another node stopped them."""
        store = self._platform.store
        late = await store.read(stops.late, self._platform.node_id)
        if late:
            await store.write(stops.interrupt, late)

    def _let_go(self) -> None:
        for session in self._hub:
            session.hang_up()
