"""Where people are played who ask over HTTP, with a key, until they are answered."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx2

from kill_journal import Journal, What, digest

DEADLINE_S = 20.0


@dataclass(kw_only=True)
class Submitter:
    """Makes tasks, speaks in their threads and reads them, at most ``most_open`` tasks at once."""

    url: str
    token: str
    journal: Journal
    up: asyncio.Event
    rng: random.Random
    most_open: int = 10
    open: set[str] = field(default_factory=set)
    """The tasks that have not ended yet, as far as anybody knows."""
    over: set[str] = field(default_factory=set)
    """Those that have; some do before the request for them is answered."""
    asking: int = 0
    """How many are in the middle of something."""
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _keys: "count[int]" = field(default_factory=lambda: count(1))

    def ended(self, task: str) -> None:
        """Make room for another task."""
        self.over.add(task)
        self.open.discard(task)
        self._ended.set()

    def begun(self, task: str) -> None:
        """Take up room for a task, unless it has ended already."""
        if task not in self.over:
            self.open.add(task)

    async def work(self, name: str) -> None:
        """Ask for one thing after the other until cancelled."""
        async with httpx2.AsyncClient(base_url=self.url, timeout=DEADLINE_S) as http:
            http.headers["Authorization"] = f"Bearer {self.token}"
            while True:
                while len(self.open) >= self.most_open:
                    self._ended.clear()
                    await self._ended.wait()
                self.asking += 1
                await self._something(name, http)
                self.asking -= 1

    async def _something(self, name: str, http: httpx2.AsyncClient) -> None:
        dice = self.rng.random()
        if dice < 0.7 or not self.open:
            await self._make_task(name, http)
        elif dice < 0.9:
            text = f"said by {name} {next(self._keys)}"
            task = self.rng.choice(sorted(self.open))
            await self.ask(name, http, f"/observer/tasks/{task}/messages", text=text)
        else:
            await self._read(name, http, self.rng.choice(sorted(self.open)))

    async def _make_task(self, name: str, http: httpx2.AsyncClient) -> None:
        title = f"asked by {name} {next(self._keys)}"
        body = {"projectId": "team", "title": title, "priority": self.rng.randint(1, 4)}
        copies = 2 if self.rng.random() < 0.1 else 1
        made = await asyncio.gather(
            *(self.ask(name, http, "/observer/tasks", **body) for _ in range(copies))
        )
        if self.rng.random() < 0.1:
            made.append(await self.ask(name, http, "/observer/tasks", **body))
        for answer in made:
            if answer is not None:
                self.begun(answer["id"])

    async def ask(
        self, name: str, http: httpx2.AsyncClient, path: str, **body: Any
    ) -> dict[str, Any] | None:
        """POST under a key made of what is said, again and again until it is answered.

        Return None when it was refused.
        """
        key = str(body.get("title") or body.get("text"))
        self.journal.note(name, What.ASKED, id=key, kind=path)

        async def post() -> httpx2.Response:
            return await http.post(path, json=body, headers={"Idempotency-Key": key})

        answer = await self._until_answered(post)
        if not answer.is_success:
            self._refused(name, path, answer)
            return None
        told: dict[str, Any] = answer.json()
        self.journal.note(
            name,
            What.ANSWERED,
            id=key,
            kind=path,
            task=told.get("id"),
            status=str(answer.status_code),
            digest=told.get("id") or told.get("messageTs"),
        )
        return told

    async def _read(self, name: str, http: httpx2.AsyncClient, task: str) -> None:
        path = f"/tasks/{task}"
        answer = await self._until_answered(lambda: http.get(path))
        if not answer.is_success:
            self._refused(name, path, answer)
            return
        told = answer.json()
        self.journal.note(
            name,
            What.READ,
            task=task,
            status=told["status"],
            attempt=told["attempt"],
            digest=digest([told["status"], told["attempt"], told.get("result")]),
        )

    def _refused(self, name: str, path: str, answer: httpx2.Response) -> None:
        self.journal.note(
            name, What.REFUSED, kind=path, status=str(answer.status_code), text=answer.text
        )
        self.open = {task for task in self.open if task not in path}

    async def _until_answered(self, send: Callable[[], Any]) -> httpx2.Response:
        while True:
            await self.up.wait()
            try:
                answer: httpx2.Response = await send()
            except httpx2.TransportError:
                await asyncio.sleep(0)
                continue
            if answer.status_code not in {409, 503}:
                return answer
