"""Where one live connection is held, from its greeting to its loss."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oblivion._clock import Clock, Timer
from oblivion._transport import Connection, OnAck
from oblivion.errors import ConnectionLost, OblivionError, ProtocolViolation
from oblivion.protocol import EventType

_GRACE_SECONDS = 1.0
"""A loop that was blocked must not take its own delay for a dead peer: it gets this to catch up."""

_EARLY_EVENTS = 1_000


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Why a connection ended; with an ``error`` the session ends, too."""

    reason: str
    error: OblivionError | None = None


class Link:
    """One connection: its greeting, its unanswered sends, and its end.

    Events that arrive before :meth:`release` are kept, so that none is handled before the
    handshake is complete. Every send that wants an answer is watched: when none comes within
    ``ack_timeout`` the connection is dead, whatever the operating system says.
    """

    def __init__(self, clock: Clock, ack_timeout: float) -> None:
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[Loss] = loop.create_future()
        self.greeted: asyncio.Future[Any] = loop.create_future()
        self._clock = clock
        self._ack_timeout = ack_timeout
        self._connection: Connection | None = None
        self._receive: Callable[[str, Any], None] | None = None
        self._early: list[tuple[str, Any]] = []
        self._watched: set[Timer] = set()

    @property
    def alive(self) -> bool:
        """Whether the connection still stands."""
        return self._connection is not None and not self.lost.done()

    def bind(self, connection: Connection) -> None:
        """Take over the opened connection."""
        self._connection = connection
        connection.closed.add_done_callback(lambda closed: self.drop(closed.result()))

    def deliver(self, event: str, data: Any) -> None:
        """Take an event from the socket."""
        if self.lost.done():
            return
        if event == EventType.CONNECTED:
            if not self.greeted.done():
                self.greeted.set_result(data)
        elif self._receive is not None:
            self._receive(event, data)
        elif len(self._early) < _EARLY_EVENTS:
            self._early.append((event, data))
        else:
            self.drop("too many events before the handshake was complete")

    def release(self, receive: Callable[[str, Any], None]) -> None:
        """Hand over the events that waited for the handshake, and all that follow."""
        self._receive = receive
        early, self._early = self._early, []
        for event, data in early:
            self.deliver(event, data)

    def tell(self, event: str, data: dict[str, Any]) -> None:
        """Send an event that has no answer."""
        if self.alive and self._connection is not None:
            self._connection.send(event, data)

    def call(self, event: str, data: dict[str, Any], on_ack: OnAck) -> None:
        """Send an event and pass its answer to ``on_ack``, unless the connection is lost first."""
        if not self.alive or self._connection is None:
            return
        watch = _Watch(self._clock, self._ack_timeout, lambda: self.drop(f"no answer to {event}"))
        self._watched.add(watch)

        def answered(answer: Any) -> None:
            watch.cancel()
            self._watched.discard(watch)
            if not self.lost.done():
                on_ack(answer)

        self._connection.send(event, data, answered)

    async def ask(self, event: str, data: dict[str, Any]) -> Any:
        """Send an event and return its answer.

        Raises:
            ConnectionLost: the connection ended first.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answered(said: Any) -> None:
            if not answer.done():
                answer.set_result(said)

        self.call(event, data, answered)
        return await self.first(answer)

    async def first(self, awaited: asyncio.Future[Any]) -> Any:
        """Return the result of ``awaited``, or raise ConnectionLost if the end comes first."""
        await asyncio.wait({awaited, self.lost}, return_when=asyncio.FIRST_COMPLETED)
        if awaited.done():
            return awaited.result()
        loss = self.lost.result()
        raise loss.error or ConnectionLost(f"the connection was lost: {loss.reason}")

    def drop(self, reason: str, error: OblivionError | None = None) -> None:
        """Declare the connection lost; only the first reason counts."""
        if self.lost.done():
            return
        self.lost.set_result(Loss(reason=reason, error=error))
        for timer in self._watched:
            timer.cancel()
        self._watched.clear()

    async def close(self, *, flush: bool = False) -> None:
        """Close the connection, after sending what is queued if ``flush``."""
        connection = self._connection
        if connection is not None:
            await connection.close(flush=flush)
        self.drop("closed")


class _Watch:
    """A deadline with a second chance."""

    def __init__(self, clock: Clock, seconds: float, expire: Callable[[], object]) -> None:
        self._timer = clock.call_later(seconds, self._again)
        self._clock = clock
        self._expire = expire

    def _again(self) -> None:
        self._timer = self._clock.call_later(_GRACE_SECONDS, self._expire)

    def cancel(self) -> None:
        self._timer.cancel()


def unreadable(what: str, error: object) -> ProtocolViolation:
    """Return the error for an answer that does not have the form it should have."""
    return ProtocolViolation(f"Nexus answered {what} with something unreadable: {error}")
