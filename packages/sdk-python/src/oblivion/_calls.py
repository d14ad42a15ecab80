"""Where calls to Nexus are made: kept, sent, resent, and answered."""

import asyncio
import copy
import uuid
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError

from oblivion._clock import Clock, Timer
from oblivion._json import check_frame
from oblivion._link import Link, unreadable
from oblivion._logging import get_log
from oblivion._outbox import Entry, Outbox
from oblivion._refusals import refused_call
from oblivion._telemetry import outgoing
from oblivion.errors import NotConnectedError, OblivionError
from oblivion.protocol import EventType, WireModel, wrap

_Model = TypeVar("_Model", bound=WireModel)

_log = get_log("calls")


class Calls:
    """The calls of one session.

    Each is kept until its acknowledgement came, sent again under the same id after a reconnect,
    in the original order, and fails at once with the session.
    """

    def __init__(self, clock: Clock, bound: int) -> None:
        self._clock = clock
        self._outbox = Outbox(bound)
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._pauses: dict[str, Timer] = {}
        self._link: Link | None = None
        self._ended: OblivionError | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def attach(self, link: Link) -> None:
        """Send everything that waits, and what is called from now on, over ``link``."""
        self._link = link
        self._pump()

    def detach(self) -> None:
        """Keep everything until the next :meth:`attach`."""
        self._link = None
        self._outbox.rewind()

    async def call(
        self,
        type_: EventType,
        payload: WireModel,
        answer: type[_Model],
        *,
        essential: bool = False,
    ) -> _Model:
        """Make a call and return its answer; while reconnecting it simply waits.

        A caller that is cancelled withdraws its call. For ``essential`` see
        :class:`~oblivion._outbox.Entry`.

        Raises:
            InvalidArgument: the call does not fit into a frame.
            QueueOverflow: too many calls wait already.
            CallRefused: Nexus refused.
            SessionEnded: the session ended first.
        """
        said = await self.exchange(type_, payload, essential=essential)
        try:
            return answer.model_validate(said)
        except ValidationError as error:
            raise unreadable(type_, f"{error.error_count()} problem(s)") from None

    async def exchange(
        self, type_: EventType, payload: WireModel, *, essential: bool = False
    ) -> Any:
        """Make a call and return its answer as it came; see :meth:`call`."""
        if self._ended is not None:
            raise NotConnectedError(f"the session has ended ({self._ended}); call connect() again")
        entry = self._seal(type_, payload, essential)
        self._outbox.add(entry)
        self._answers[entry.id] = asyncio.get_running_loop().create_future()
        self._idle.clear()
        self._pump()
        try:
            return await self._answers[entry.id]
        finally:
            self._forget(entry.id)

    async def flushed(self) -> None:
        """Wait until every call has been answered."""
        await self._idle.wait()

    def fail(self, error: OblivionError) -> int:
        """Fail all pending calls, and every later one; return how many were pending."""
        self._ended = error
        pending = [answer for answer in self._answers.values() if not answer.done()]
        for answer in pending:
            answer.set_exception(copy.copy(error))
        return len(pending)

    def _seal(self, type_: EventType, payload: WireModel, essential: bool) -> Entry:
        call_id = str(uuid.uuid4())
        envelope = wrap(type_, payload, self._clock.now(), id_=call_id)
        traceparent = outgoing()
        if traceparent is not None:
            envelope["traceparent"] = traceparent
        check_frame(type_, envelope)
        return Entry(call_id, type_, envelope, essential)

    def _pump(self) -> None:
        link = self._link
        if link is None or not link.alive:
            return
        for entry in self._outbox.due():
            link.call(entry.type, entry.envelope, partial(self._on_ack, entry))

    def _on_ack(self, entry: Entry, answer: Any) -> None:
        refusal = refused_call(answer)
        pause = self._outbox.pause(entry.id) if refusal and refusal.retryable else None
        waiter = self._answers.get(entry.id)
        if pause is not None:
            _log.debug("call_deferred", type=entry.type, seconds=pause, reason=str(refusal))
            self._pauses[entry.id] = self._clock.call_later(pause, lambda: self._resume(entry.id))
        elif waiter is not None and not waiter.done():
            self._outbox.remove(entry.id)
            if refusal is not None:
                waiter.set_exception(refusal)
            else:
                waiter.set_result(answer)
        self._pump()

    def _resume(self, call_id: str) -> None:
        self._pauses.pop(call_id, None)
        self._outbox.resume(call_id)
        self._pump()

    def _forget(self, call_id: str) -> None:
        self._outbox.remove(call_id)
        self._answers.pop(call_id, None)
        pause = self._pauses.pop(call_id, None)
        if pause is not None:
            pause.cancel()
        if not self._answers:
            self._idle.set()
        self._pump()
