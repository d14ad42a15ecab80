"""Where what time does is done: leases run out, deadlines pass, agents fall silent, old rows go."""

import asyncio
import itertools

from nexus.delivery.hub import Hub
from nexus.delivery.patience import patiently
from nexus.services import attempts, presence, retention, sessions
from nexus.services.platform import Platform

TICK_S = 1.0
_PRUNE_EVERY = 60


class Caretaker:
    """Looks at the clock once a second."""

    def __init__(self, platform: Platform, hub: Hub) -> None:
        self._platform = platform
        self._hub = hub

    async def run(self) -> None:
        """Take care until cancelled."""
        for tick in itertools.count():
            await patiently(self.care)
            if tick % _PRUNE_EVERY == 0:
                await patiently(self._prune)
            await asyncio.sleep(TICK_S)

    async def care(self) -> None:
        """Do once what is due."""
        store, limits = self._platform.store, self._platform.limits
        if self._platform.is_shared:
            await store.write(presence.note)
        await store.write(attempts.expire)
        await store.write(sessions.close_silent, limits.offline_after_ms)
        await self._ping_silent(limits.heartbeat_interval_ms)

    async def _prune(self) -> None:
        await self._platform.store.write(retention.prune)

    async def _ping_silent(self, interval_ms: int) -> None:
        now = self._platform.clock()
        for session in self._hub:
            if session.is_ready and now - session.last_heard >= interval_ms:
                session.heard()  # asks again only after another interval
                await session.ping()
