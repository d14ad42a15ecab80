"""Where what comes in from other services is stored: what comes at once, in one commit."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nexus.domain.errors import NotFound, Unavailable
from nexus.services import deliveries
from nexus.services.deliveries import Letter
from nexus.services.platform import Platform
from nexus.services.webhooks import Received, Webhook

AT_ONCE = 100
MOST_WAITING = 2_000


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    letters: Sequence[Letter]
    stored: asyncio.Future[None]


class Intake:
    """Stores letters; whoever comes while some are written shares the next commit.

    A lane is locked until the commit, so one commit for each letter would have them queue.
    """

    def __init__(self, platform: Platform, webhooks: Mapping[str, Webhook]) -> None:
        self._platform = platform
        self._webhooks = webhooks
        self._waiting: deque[_Waiting] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def receive(self, source: str, headers: Mapping[str, str], body: bytes) -> Received:
        """Store what a request of ``source`` holds, and return that once it is on disk.

        Raises:
            NotFound: nothing is taken from there.
            NotSigned: it does not come from there.
            Unavailable: it cannot be verified, or not be stored now.
        """
        webhook = self._webhooks.get(source)
        if webhook is None:
            raise NotFound(f"this Nexus takes nothing from {source} yet")
        received = webhook.receive(headers, body)
        if received.letters:
            await self._store(received.letters)
        return received

    async def _store(self, letters: Sequence[Letter]) -> None:
        if len(self._waiting) >= MOST_WAITING:
            raise Unavailable(f"{MOST_WAITING} requests wait to be stored already")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(letters=letters, stored=loop.create_future())
        self._waiting.append(waiting)
        if self._writing is None:
            self._writing = loop.create_task(self._write_all(), name="intake")
        await waiting.stored

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                most = min(len(self._waiting), AT_ONCE)
                await self._write([self._waiting.popleft() for _ in range(most)])
        finally:
            self._writing = None

    async def _write(self, group: list[_Waiting]) -> None:
        letters = [letter for one in group for letter in one.letters]
        try:
            await self._platform.store.write(deliveries.post_all, letters)
        except Exception as error:  # noqa: BLE001 - every waiter must be answered
            if len(group) > 1 and not isinstance(error, Unavailable):
                for one in group:  # so that one which cannot be stored leaves the others alone
                    await self._write([one])
                return
            _resolve(group, error)
        else:
            _resolve(group, None)


def _resolve(group: list[_Waiting], error: Exception | None) -> None:
    for one in group:
        if one.stored.done():  # whoever asked is gone
            continue
        if error is None:
            one.stored.set_result(None)
        else:
            one.stored.set_exception(error)
