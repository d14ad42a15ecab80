"""Where tasks are posted as fast as they are done, so that always as many wait."""

import asyncio
from collections.abc import Callable

import orjson

from bench.load.http import LOST, Answer, Connections
from bench.load.pace import until

_RETRY_S = 0.1


class Press:
    """Keeps ``backlog`` tasks open: posted, and not yet recorded as DONE."""

    def __init__(self, connections: Connections, prepare: Callable[[], bytes]) -> None:
        self.accepted: set[str] = set()
        """The tasks that Nexus answered with 201 and that are not DONE yet."""
        self.posted = 0
        self.done = 0
        self.refusals: list[str] = []
        self._connections = connections
        self._prepare = prepare
        self._early: set[str] = set()
        self._backlog = 0
        self._under_way = 0

    @property
    def open(self) -> int:
        """Posted, and not yet recorded as DONE."""
        return self._under_way + len(self.accepted)

    def hold(self, backlog: int) -> None:
        """Keep so many tasks open from now on; 0 stops posting."""
        self._backlog = backlog
        self._fill()

    async def emptied(self, within: float) -> None:
        """Return once no task is open.

        Raises:
            TimeoutError: some still were after ``within`` seconds.
        """
        async with asyncio.timeout(within):
            await until(lambda: not self.open)

    def ended(self, task_id: str) -> None:
        """Note that a task is recorded as DONE; it may be before the answer to its POST is read."""
        self.done += 1
        if task_id in self.accepted:
            self.accepted.discard(task_id)
        else:
            self._early.add(task_id)
        self._fill()

    def _fill(self) -> None:
        while self._connections.free > 0 and self.open < self._backlog:
            self._under_way += 1
            self._connections.send(self._prepare(), self._answered)

    def _answered(self, answer: Answer) -> None:
        self._under_way -= 1
        if answer is LOST:
            # Nobody knows whether Nexus has it, and nothing was promised.
            asyncio.get_running_loop().call_later(_RETRY_S, self._fill)
            return
        if answer.status != 201:
            self.refusals.append(f"HTTP {answer.status}: {answer.body.decode()}")
            return
        task_id: str = orjson.loads(answer.body)["id"]
        self.posted += 1
        if task_id in self._early:
            self._early.discard(task_id)
        else:
            self.accepted.add(task_id)
        self._fill()
