"""Where a story is played to an agent at work, and where it is judged who heard what."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar
from urllib.parse import urlsplit

from contract_sides import Side
from dark_proxy import DarkProxy, dark_proxy
from oblivion import (
    ContextUpdatePayload,
    NexusUnreachable,
    OblivionClient,
    TaskAssignedPayload,
    ThreadMessage,
)
from oblivion._busy import BusyPolicy
from oblivion._steering import BUSY, LATE
from oblivion.errors import UsageError
from oblivion.protocol import FINAL_STATUSES

T = TypeVar("T")

STEPS = ("say", "say", "read", "cut", "cancel", "finish", "settle")
"""What can happen next; people write twice as often as anything else happens."""


@dataclass(kw_only=True)
class Task:
    """A task of the story: what people said, and what became of it."""

    id: str
    said: list[str] = field(default_factory=list[str])
    cancelled: bool = False
    orders: asyncio.Queue[str] = field(default_factory=asyncio.Queue[str])
    before: set[str] = field(default_factory=set[str])
    calls: list[list[str]] = field(default_factory=list[list[str]])
    aside: list[str] = field(default_factory=list[str])


class Story:
    """One agent, one person, and the tasks between them."""

    def __init__(self, side: Side, proxy: DarkProxy, client: OblivionClient, policy: str) -> None:
        self._side = side
        self._proxy = proxy
        self._client = client
        self._policy = policy
        self._tasks: dict[str, Task] = {}
        self._count = 0

    def teach(self, *, listens: bool) -> None:
        """Make the agent: it works as ordered, and notes what reaches it."""

        @self._client.on_task_assigned
        async def work(payload: TaskAssignedPayload) -> None:
            task = self._tasks[payload.task_id]
            call = [message.content for message in payload.messages]
            task.calls.append(call)
            task.before |= {message.text for message in await self._thread(task)}
            while (order := await task.orders.get()) != "finish":
                if order == "read" and self._policy == "steer":
                    await self._read(task, call)

        async def hear(message: ContextUpdatePayload) -> None:
            if message.is_human:
                self._tasks[message.task_id].aside.append(message.content)

        if listens:
            self._client.on_context_update(hear)

    async def _read(self, task: Task, call: list[str]) -> None:
        call += [message.content async for message in self._client.messages(task.id, wait=False)]

    async def play(self, steps: list[str]) -> None:
        """Play the steps, each on the newest task, and then the end of all that is open."""
        task = await self._assign()
        for step in steps:
            if task.cancelled or (step != "settle" and await self._is_over(task)):
                task = await self._assign()
            await self._step(task, step)
        for open_task in self._tasks.values():
            await self._end(open_task)
        await self._caught_up()

    async def _step(self, task: Task, step: str) -> None:
        if step == "say":
            await self._say(task)
        elif step == "cancel":
            await self._cancel(task)
        elif step == "cut":
            self._proxy.cut()
        elif step == "settle":
            await self._client.send_heartbeat()
        else:
            task.orders.put_nowait(step)

    async def _say(self, task: Task) -> None:
        """Speak; what perhaps came after the task's end, Nexus passed on to nobody."""
        self._count += 1
        text = f"message {self._count}"
        await self._side.say(task.id, text)
        if not await self._is_over(task):
            task.said.append(text)

    async def _cancel(self, task: Task) -> None:
        """Cancel, unless the task has just ended."""
        with contextlib.suppress(AssertionError, UsageError):
            await self._side.cancel(task.id)
            task.cancelled = True

    async def _assign(self) -> Task:
        task = Task(id=await self._side.task("a task"))
        self._tasks[task.id] = task
        return task

    async def _is_over(self, task: Task) -> bool:
        return (await _patiently(self._client.get_task, task.id)).status in FINAL_STATUSES

    async def _end(self, task: Task) -> None:
        """Order the end until it is there: a handler that was called again waits for its own."""
        while not await self._is_over(task):
            if task.orders.empty():
                task.orders.put_nowait("finish")
            await asyncio.sleep(0.01)

    async def _caught_up(self) -> None:
        """Wait until nothing that was said is missing any more, or is missing for good."""
        for _ in range(100):
            await self._client.send_heartbeat()
            if not [text for task in self._tasks.values() for text in await self.lost(task)]:
                return
            await asyncio.sleep(0.01)

    async def lost(self, task: Task) -> list[str]:
        """Return what was said in a task that reached nobody, and of which nobody was told."""
        heard = {text for call in task.calls for text in call} | set(task.aside) | task.before
        missing = [text for text in task.said if text not in heard]
        if task.cancelled or (self._policy == "queue" and not self._listens()):
            return []
        notices = Counter(m.text for m in await self._thread(task))
        if notices[BUSY]:
            return []
        return missing[notices[LATE] :]

    async def _thread(self, task: Task) -> list[ThreadMessage]:
        return await _patiently(self._client.get_thread, task.id)

    def _listens(self) -> bool:
        return self._client._handlers.get("context_update") is not None

    async def judge(self) -> None:
        """Assert that nothing was lost, and nothing came twice to a handler."""
        for task in self._tasks.values():
            assert await self.lost(task) == [], task
            for heard in [*task.calls, task.aside]:
                assert max(Counter(heard).values(), default=0) <= 1, task
            once = {text for call in task.calls for text in call}
            assert not once & set(task.aside), task
            if self._policy == "interrupt":  # a handler that begins again is told all that was said
                assert all(new[: len(old)] == old for old, new in pairwise(task.calls)), task
            if self._policy == "steer":
                assert sum(len(call) for call in task.calls) == len(once), task


async def _patiently(ask: Callable[[str], Awaitable[T]], task_id: str) -> T:
    """Ask again when the network was cut."""
    while True:
        with contextlib.suppress(NexusUnreachable):
            return await ask(task_id)


async def play(side: Side, policy: BusyPolicy, steps: list[str], **agent: Any) -> None:
    """Play a story to a new agent, through a network that can be cut, and judge it."""
    name = str(agent["name"])
    secret = await side.agent(name)
    port = urlsplit(side.url).port
    assert port is not None
    async with dark_proxy(port) as proxy, asyncio.timeout(30):
        client = OblivionClient(
            proxy.url, name, secret, reconnect_delay=0.01, on_busy=policy, drain_timeout=0
        )
        story = Story(side, proxy, client, policy)
        story.teach(listens=agent["listens"])
        async with client:
            await story.play(steps)
            await story.judge()
