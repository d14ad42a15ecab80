"""Where an agent of the SDK lives that notes what reaches its handlers and what it was told."""

import asyncio
import random
from itertools import count

from kill_journal import Journal, What, digest
from live_nexus import AGENT_SECRET
from oblivion import (
    ContextUpdatePayload,
    OblivionClient,
    OblivionError,
    TaskAssignedPayload,
    Timeouts,
)

Done = dict[str, str | int]


class SdkAgent:
    """A client as an author writes it: it works, speaks now and then, and now and then fails."""

    def __init__(self, name: str, journal: Journal, rng: random.Random) -> None:
        self.name = name
        self._journal = journal
        self._rng = rng
        self._numbers = count(1)
        self._running = 0

    @property
    def idle(self) -> bool:
        """Whether no handler runs."""
        return self._running == 0

    def be_reborn(self) -> None:
        """Stay: this process lives through the whole storm."""

    async def acknowledge(self) -> None:
        """Leave that to the SDK."""

    async def live(self, url: str, _token: str, up: asyncio.Event) -> None:
        """Be connected until cancelled; how it comes back is the SDK's own affair."""
        client = self._client(url)
        await up.wait()
        while not client.connected:
            try:
                await client.connect()
            except OblivionError as error:
                if not error.retryable:
                    raise
        try:
            await client.wait()
        finally:
            await client.disconnect()

    def _client(self, url: str) -> OblivionClient:
        client = OblivionClient(
            url,
            self.name,
            AGENT_SECRET,
            reconnect_delay=0.05,
            max_concurrency=4,
            drain_timeout=0,
            timeouts=Timeouts(ack=5, close=1),
        )

        @client.on_task_assigned
        async def work(payload: TaskAssignedPayload) -> Done:
            self._note(What.STARTED, task=payload.task_id, attempt=payload.attempt, id=self.name)
            self._running += 1
            try:
                done = await self._work(client, payload)
                self._note(What.FINISHED, task=payload.task_id, attempt=payload.attempt)
                return done
            finally:
                self._running -= 1

        @client.on_context_update
        async def listen(payload: ContextUpdatePayload) -> None:
            self._note(What.HEARD, task=payload.task_id, id=self.name, text=payload.content)

        return client

    async def _work(self, client: OblivionClient, payload: TaskAssignedPayload) -> Done:
        if self._rng.random() < 0.3:
            await self._speak(client, payload.task_id)
        if self._rng.random() < 0.03:
            raise ValueError("a bad day")
        return {"by": self.name, "attempt": payload.attempt}

    async def _speak(self, client: OblivionClient, task: str) -> None:
        text = f"said by {self.name} {next(self._numbers)}"
        call = {"id": text, "kind": "post_message", "task": task, "text": text}
        self._note(What.CALLED, **call)
        answer = await client.post_message(task, text)
        self._note(What.REPLIED, **{**call, "text": None}, ok=True, digest=digest(str(answer)))

    def _note(self, what: What, **facts: str | int | None) -> None:
        self._journal.note(self.name, what, **facts)
