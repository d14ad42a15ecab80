"""Where waiting tasks meet this node's free agents: by lease, or by offer where agents claim."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from nexus.delivery.hub import Hub
from nexus.delivery.patience import patiently
from nexus.domain.offers import Eligible, OfferBook, next_round
from nexus.services import dispatch, leases
from nexus.services.platform import Platform
from nexus.store import Tx
from oblivion.protocol import EventType, TaskAvailablePayload

POLL_S = 1.0
_REMIND_MS = 5_000


class Dispatcher:
    """Leases in the commit of whatever makes it possible, and offers when there is something to.

    Once a second it leases in any case: a wake-up from another node may be lost, and tasks that
    rested become due.
    """

    def __init__(self, platform: Platform, hub: Hub) -> None:
        self._platform = platform
        self._hub = hub
        self._book = OfferBook()
        self._reminded = 0
        platform.store.follow(leases.DISPATCH, self._lease_next)

    async def run(self) -> None:
        """Dispatch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._whenever(leases.DISPATCH, self._lease))
            group.create_task(self._whenever(leases.OFFERS, self._offer))

    def forget(self, agent_id: str) -> None:
        """Offer everything anew to an agent that connects: it may have missed what it was told."""
        self._book = self._book.without(agent_id)

    async def _whenever(self, topic: str, act: Callable[[], Awaitable[None]]) -> None:
        """Act when the topic is woken, and once a second, while an agent is connected here."""
        wanted = asyncio.Event()
        stop = self._platform.bus.listen(topic, wanted.set)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await wanted.wait()
                wanted.clear()
                if self._hub:
                    await patiently(act)
        finally:
            stop()

    async def _lease(self) -> None:
        await self._platform.store.write(self._lease_next)

    def _lease_next(self, tx: Tx) -> None:
        dispatch.lease_next(tx, self._platform.node_id, self._platform.limits.lease_ms)

    def _remind(self) -> None:
        """Now and then, take no earlier offer for heard: hints get lost, and agents pass."""
        now = self._platform.clock()
        if now - self._reminded >= _REMIND_MS:
            self._reminded = now
            self._book = self._book.unheard()

    async def _offer(self) -> None:
        self._remind()
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
