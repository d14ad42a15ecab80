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
    """Claims the best offer whenever a slot is free, one at a time."""

    def __init__(
        self, calls: Calls, clock: Clock, bound: int, has_free_slot: Callable[[], bool]
    ) -> None:
        self._calls = calls
        self._clock = clock
        self._offers = Offers(bound)
        self._has_free_slot = has_free_slot
        self._changed = asyncio.Event()
        self._awaited: str | None = None

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
        if task_id == self._awaited:
            self._awaited = None
            self._changed.set()

    def slot_changed(self) -> None:
        """Look again: a slot may have become free."""
        self._changed.set()

    async def run(self) -> None:
        """Claim until cancelled."""
        while True:
            await self._until(lambda: len(self._offers) > 0 and self._has_free_slot())
            offer = self._offers.take()
            self._awaited = offer.task_id
            if await self._claim(offer):
                await self._assignment(offer.task_id)

    async def _claim(self, offer: TaskAvailablePayload) -> bool:
        claim = ClaimTask(task_id=offer.task_id)
        try:
            result = await self._calls.call(EventType.CLAIM_TASK, claim, ClaimResult)
        except OblivionError as error:
            _log.debug("claim_refused", task_id=offer.task_id, reason=str(error))
            if isinstance(error, NoFreeSlot) or error.retryable:
                self._offers.add(offer)
                await sleep(self._clock, _PAUSE_SECONDS)
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
                await self._until(lambda: self._awaited is None)
        except TimeoutError:
            _log.warning("claimed_task_missing", task_id=task_id)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()
