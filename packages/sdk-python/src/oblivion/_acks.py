"""Where finished events are acknowledged to Nexus, all of one moment in one frame."""

import asyncio

from oblivion._clock import Clock
from oblivion._inbox import Inbox, Receipt
from oblivion._link import Link
from oblivion.protocol import EventAck, EventType, wrap


class Acknowledger:
    """Sends ``event_ack``; without a connection the numbers wait for the next one."""

    def __init__(self, inbox: Inbox, clock: Clock) -> None:
        self._inbox = inbox
        self._clock = clock
        self._link: Link | None = None
        self._scheduled = False

    def attach(self, link: Link | None) -> None:
        """Send over ``link`` from now on; None keeps the numbers."""
        self._link = link
        self._schedule()

    def finish(self, receipt: Receipt) -> None:
        """Note that the event needs no more work, and say so soon."""
        self._inbox.finish(receipt)
        self._schedule()

    def forget(self, receipt: Receipt) -> None:
        """Note that the event was never worked on: sent again, it is new."""
        self._inbox.forget(receipt)

    def flush(self) -> None:
        """Say now what is to be said."""
        self._scheduled = False
        if self._link is None or not self._link.alive:
            return
        seqs = self._inbox.take_acks()
        if seqs:
            call = wrap(EventType.EVENT_ACK, EventAck(seqs=seqs), self._clock.now())
            self._link.tell(EventType.EVENT_ACK, call)

    def _schedule(self) -> None:
        if self._link is not None and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)
