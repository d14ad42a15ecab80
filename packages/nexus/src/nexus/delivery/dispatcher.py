"""Where waiting tasks meet this node's free agents: by lease, or by offer where agents claim."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter

from nexus.delivery.hub import Hub
from nexus.delivery.patience import patiently
from nexus.domain.offers import (
    HEAD_START_MS,
    Agents,
    Favours,
    OfferBook,
    Waiting,
    favour,
    next_round,
    rest_s,
)
from nexus.services import dispatch, leases
from nexus.services.platform import Platform
from nexus.store import Tx
from oblivion.protocol import EventType

POLL_S = 1.0
_REMIND_MS = 5_000
_BREATH_S = 0.005
"""The least time between two looks, so that many wake-ups are answered by one."""


class Dispatcher:
    """Leases in the commit of whatever makes it possible, and offers when there is something to.

    Once a second it leases in any case: a wake-up from another node may be lost, and tasks that
    rested become due.
    """

    def __init__(self, platform: Platform, hub: Hub) -> None:
        self._platform = platform
        self._hub = hub
        self._book = OfferBook()
        self._favours = Favours()
        self._reminded = 0
        platform.store.follow(leases.DISPATCH, self._lease_next)

    async def run(self) -> None:
        """Dispatch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._whenever(leases.DISPATCH, self._lease))
            group.create_task(self._whenever(leases.OFFERS, self._offer, rest_s))

    def forget(self, agent_id: str) -> None:
        """Offer everything anew to an agent that connects: it may have missed what it was told."""
        self._book = self._book.without(agent_id)

    async def _whenever(
        self,
        topic: str,
        act: Callable[[], Awaitable[float]],
        rest: Callable[[float], float] = lambda _took_s: _BREATH_S,
    ) -> None:
        """Act when the topic is woken, and once the seconds are over that the last act returned.

        Only while an agent is connected here. ``rest`` says for how many seconds there is no other
        act after one that took so many.
        """
        wanted = asyncio.Event()
        stop = self._platform.bus.listen(topic, wanted.set)
        patience = POLL_S
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(patience):
                        await wanted.wait()
                wanted.clear()
                began = perf_counter()
                patience = await patiently(act) if self._hub else POLL_S
                await asyncio.sleep(rest(perf_counter() - began))
        finally:
            stop()

    async def _lease(self) -> float:
        await self._platform.store.write(self._lease_next)
        return POLL_S

    def _lease_next(self, tx: Tx) -> None:
        dispatch.lease_next(tx, self._platform.node_id, self._platform.limits.lease_ms)

    def _remind(self) -> None:
        """Now and then, take no earlier offer for heard: hints get lost, and agents pass."""
        now = self._platform.clock()
        if not 0 <= now - self._reminded < _REMIND_MS:  # due, or the clock was set back
            self._reminded = now
            self._book = self._book.unheard()

    async def _offer(self) -> float:
        self._remind()
        found = await self._platform.store.glance(
            dispatch.market, self._platform.node_id, passed=self._favours.passed
        )
        waiting = self._audible(found)
        now = self._platform.clock()
        self._favours, audible = favour(self._favours, waiting, found.free, now)
        step = next_round(self._book, audible)
        self._book = step.book
        if step.offers:
            await self._send_offers(step.offers)
        if step.gone:
            await self._tell_gone(step.gone)
        return HEAD_START_MS / 1000 if self._favours.are_running else POLL_S

    def _audible(self, found: dispatch.Market) -> Sequence[Waiting]:
        """Return what waits, for the agents that can be told now.

        Only what can be sent counts as offered; a session that is not ready is offered it then.
        """
        away = frozenset(c.agent_id for c in found.free if self._hub.get(c.agent_id) is None)
        if not away:
            return found.waiting
        return [replace(task, agents=task.agents - away) for task in found.waiting]

    async def _send_offers(self, offers: Mapping[str, Sequence[str]]) -> None:
        named = {task_id for task_ids in offers.values() for task_id in task_ids}
        described = await self._platform.store.glance(dispatch.described, sorted(named))
        payloads = {payload.task_id: payload for payload in described}
        for agent_id, task_ids in offers.items():
            session = self._hub.get(agent_id)
            if session is not None:
                for task_id in task_ids:
                    await session.hint(EventType.TASK_AVAILABLE, payloads[task_id])

    async def _tell_gone(self, gone: Agents) -> None:
        claimed = await self._platform.store.glance(dispatch.claimed, list(gone))
        for claim in claimed:
            for agent_id in sorted(gone[claim.task_id] - {claim.claimed_by_agent_id}):
                session = self._hub.get(agent_id)
                if session is not None:
                    await session.hint(EventType.TASK_CLAIMED, claim)
