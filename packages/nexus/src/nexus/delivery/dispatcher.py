"""Where waiting tasks meet this node's free agents: by lease, or by offer where agents claim."""

import asyncio

from nexus.delivery.hub import Hub
from nexus.delivery.patience import patiently
from nexus.domain.offers import Eligible, OfferBook, next_round
from nexus.services import dispatch, leases
from nexus.services.platform import Platform
from oblivion.protocol import EventType, TaskAvailablePayload

POLL_S = 1.0
_REMIND_MS = 5_000


class Dispatcher:
    """Looks for work whenever it is woken, and once a second in case a wake-up was lost."""

    def __init__(self, platform: Platform, hub: Hub) -> None:
        self._platform = platform
        self._hub = hub
        self._book = OfferBook()
        self._reminded = 0
        self._wanted = asyncio.Event()

    async def run(self) -> None:
        """Dispatch until cancelled."""
        stop = self._platform.bus.listen(leases.DISPATCH, self._wanted.set)
        try:
            while True:
                await self._wait()
                self._remind()
                if self._hub:
                    await patiently(self.dispatch)
        finally:
            stop()

    def forget(self, agent_id: str) -> None:
        """Offer everything anew to an agent that connects: it may have missed what it was told."""
        self._book = self._book.without(agent_id)

    async def dispatch(self) -> None:
        """Lease what can be leased now and offer the rest."""
        platform = self._platform
        await platform.store.write(dispatch.lease_next, platform.node_id, platform.limits.lease_ms)
        await self._offer()

    def _remind(self) -> None:
        """Now and then, take no earlier offer for heard: hints get lost, and agents pass."""
        now = self._platform.clock()
        if now - self._reminded >= _REMIND_MS:
            self._reminded = now
            self._book = self._book.unheard()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL_S):
                await self._wanted.wait()
        except TimeoutError:
            pass
        self._wanted.clear()

    async def _offer(self) -> None:
        found = await self._platform.store.read(dispatch.offers, self._platform.node_id)
        # Only what can be sent counts as offered; a session that is not ready is offered it then.
        eligible = {
            offer.task_id: frozenset(agent for agent in agents if self._hub.get(agent) is not None)
            for offer, agents in found
        }
        payloads = {offer.task_id: offer for offer, _ in found}
        step = next_round(self._book, eligible)
        self._book = step.book
        await self._send_offers(step.offers, payloads)
        if step.gone:
            await self._tell_gone(step.gone)

    async def _send_offers(
        self, offers: list[tuple[str, str]], payloads: dict[str, TaskAvailablePayload]
    ) -> None:
        for task_id, agent_id in offers:
            session = self._hub.get(agent_id)
            if session is not None:
                await session.hint(EventType.TASK_AVAILABLE, payloads[task_id])

    async def _tell_gone(self, gone: Eligible) -> None:
        claimed = await self._platform.store.read(dispatch.claimed, list(gone))
        for claim in claimed:
            for agent_id in sorted(gone[claim.task_id] - {claim.claimed_by_agent_id}):
                session = self._hub.get(agent_id)
                if session is not None:
                    await session.hint(EventType.TASK_CLAIMED, claim)
