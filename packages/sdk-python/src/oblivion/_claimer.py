"""Where offered tasks are claimed for an author who left that to the SDK."""

import asyncio
from collections.abc import Callable

from oblivion._calls import Calls
from oblivion._clock import Clock, sleep, within
from oblivion._logging import get_log
from oblivion._offers import Offers
from oblivion.errors import NoFreeSlot, OblivionError
from oblivion.protocol import ClaimResult, ClaimTask, EventType, TaskAvailablePayload

_PAUSE_SECONDS = 5.0
"""The wait after Nexus said that no slot is free, or cannot answer."""

_ASSIGNMENT_SECONDS = 30.0
"""How long a claimed task may take to arrive before the next one is claimed."""

_log = get_log("claims")


class Claimer:
    """Claims the best offers, as many at once as slots are free."""

    def __init__(
        self, calls: Calls, clock: Clock, bound: int, free_slots: Callable[[], int]
    ) -> None:
        self._calls = calls
        self._clock = clock
        self._offers = Offers(bound)
        self._free_slots = free_slots
        self._changed = asyncio.Event()
        self._awaited: set[str] = set()

    def offer(self, task: TaskAvailablePayload) -> None:
        """Consider a task."""
        self._offers.add(task)
        self._changed.set()

    def withdraw(self, task_id: str) -> None:
        """Forget a task that somebody else has."""
        self._offers.drop(task_id)

    def arrived(self, task_id: str) -> None:
        """Note that a task was assigned to this agent."""
        self._offers.drop(task_id)
        self._awaited.discard(task_id)
        self._changed.set()

    def slot_changed(self) -> None:
        """Look again: a slot may have become free."""
        self._changed.set()

    async def run(self) -> None:
        """Claim until cancelled."""
        async with asyncio.TaskGroup() as claims:
            while True:
                await self._until(self._has_something_to_claim)
                offer = self._offers.take()
                self._awaited.add(offer.task_id)
                claims.create_task(self._pursue(offer), name="oblivion-claim")

    def _has_something_to_claim(self) -> bool:
        return len(self._offers) > 0 and len(self._awaited) < self._free_slots()

    async def _pursue(self, offer: TaskAvailablePayload) -> None:
        """Claim a task and wait until it has arrived; meanwhile it counts for a slot."""
        try:
            if await self._claim(offer):
                await self._assignment(offer.task_id)
        finally:
            self._awaited.discard(offer.task_id)
            self._changed.set()

    async def _claim(self, offer: TaskAvailablePayload) -> bool:
        claim = ClaimTask(task_id=offer.task_id)
        try:
            result = await self._calls.call(EventType.CLAIM_TASK, claim, ClaimResult)
        except OblivionError as error:
            _log.debug("claim_refused", task_id=offer.task_id, reason=str(error))
            if isinstance(error, NoFreeSlot) or error.retryable:
                await sleep(self._clock, _PAUSE_SECONDS)
                self._offers.add(offer)
            return False
        _log.debug("claim_answered", task_id=offer.task_id, success=result.success)
        if result.success:
            self._offers.won()
        else:
            self._offers.lost()
        return result.success

    async def _assignment(self, task_id: str) -> None:
        try:
            async with within(self._clock, _ASSIGNMENT_SECONDS):
                await self._until(lambda: task_id not in self._awaited)
        except TimeoutError:
            _log.warning("claimed_task_missing", task_id=task_id)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()
