"""Where what time does is done: leases run out, deadlines pass, agents fall silent, old rows go."""

import asyncio
import itertools

from nexus.delivery.hub import Hub
from nexus.delivery.patience import patiently
from nexus.services import attempts, retention, sessions, watch
from nexus.services.platform import Platform

TICK_S = 1.0
_PRUNE_EVERY = 60
_LOOKS_A_BEAT = 10
"""How often all sessions are looked through while an agent has time for a sign of life."""


class Caretaker:
    """Looks at the clock once a second."""

    def __init__(self, platform: Platform, hub: Hub) -> None:
        self._platform = platform
        self._hub = hub
        self._looked = 0

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
        await store.write(watch.note, limits.lease_ms)
        await store.write(attempts.expire)
        looked_ago = self._platform.clock() - self._looked
        if not 0 <= looked_ago < limits.heartbeat_interval_ms / _LOOKS_A_BEAT:  # or it was set back
            self._looked += looked_ago
            await self._look_after_sessions()

    async def _look_after_sessions(self) -> None:
        """Note signs of life, give up sessions that give none, and ask the others for one."""
        store, limits = self._platform.store, self._platform.limits
        await store.write(sessions.seen, [one.ref for one in self._hub if one.take_note()])
        await store.write(sessions.close_silent, limits.offline_after_ms)
        await self._ping_silent(limits.heartbeat_interval_ms)

    async def _prune(self) -> None:
        await self._platform.store.write(retention.prune, self._platform.limits)

    async def _ping_silent(self, interval_ms: int) -> None:
        now = self._platform.clock()
        for session in self._hub:
            heard_ago = now - session.last_heard
            if session.is_ready and not 0 <= heard_ago < interval_ms:  # or the clock was set back
                session.heard()  # asks again only after another interval
                await session.ping()
