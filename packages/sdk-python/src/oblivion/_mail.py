"""Where what people write waits for the handler that is at work on their task."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from oblivion._inbox import Receipt
from oblivion.protocol import ContextUpdatePayload

Message: TypeAlias = tuple[ContextUpdatePayload, Receipt]
"""A message of a thread, and the event that brought it."""


class Mail:
    """The messages of one attempt, in order; each is taken once.

    ``taken`` learns which event needs no more work. Who was ``told`` that nobody reads is not told
    again.
    """

    def __init__(self, taken: Callable[[Receipt], None]) -> None:
        self.told: set[str] = set()
        self._taken = taken
        self._unread: deque[Message] = deque()
        self._changed = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._unread)

    def put(self, message: Message) -> None:
        """Add a message."""
        self._unread.append(message)
        self._changed.set()

    def take(self) -> ContextUpdatePayload | None:
        """Return the oldest message that was not taken; None if there is none."""
        if not self._unread:
            return None
        payload, receipt = self._unread.popleft()
        self._taken(receipt)
        return payload

    async def next(self) -> ContextUpdatePayload | None:
        """Wait for a message and take it; None once the attempt is over."""
        while not self._unread and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        return self.take()

    def close(self) -> list[Message]:
        """Note that the attempt is over; return what nobody took."""
        self._closed = True
        self._changed.set()
        left, self._unread = list(self._unread), deque()
        return left


class Messages:
    """What people write to the handler at work, as ``async for`` reads it."""

    def __init__(self, mail: Mail, *, wait: bool) -> None:
        self._mail = mail
        self._wait = wait

    def __aiter__(self) -> "Messages":
        return self

    async def __anext__(self) -> ContextUpdatePayload:
        message = await self._mail.next() if self._wait else self._mail.take()
        if message is None:
            raise StopAsyncIteration
        return message
