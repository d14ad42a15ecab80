"""Where deliveries live: what Slack tells the app, how often it tried, and what it was answered."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nexus.testing.slack._limits import Rules
from nexus.testing.slack._messages import Json
from nexus.testing.slack._time import Time


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the app said to one request, or over its WebSocket."""

    failure: str | None
    """``http_timeout``, ``http_error``, ``connection_failed``, or None: it was taken."""
    status: int | None = None
    """The status over HTTP; None over a WebSocket."""
    body: str = ""
    took_ms: float = 0.0
    no_retry: bool = False
    """The app said ``X-Slack-No-Retry: 1``."""
    sent_headers: Mapping[str, str] = field(default_factory=dict)
    sent_body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Try:
    """One try to deliver something."""

    number: int
    """0 is the first, the others are retries."""
    reason: str | None
    """Why it is tried again."""
    at_ms: int
    answer: Answer


class Delivery:
    """Something that Slack tells the app: an event, or that somebody clicked."""

    def __init__(self, kind: str, payload: Json) -> None:
        self.kind = kind
        """``event`` or ``interaction``."""
        self.payload = payload
        self.tries: list[Try] = []
        self.is_over = False
        """Taken, or given up."""

    @property
    def event(self) -> Json:
        """The event in the envelope; empty for an interaction."""
        event: Json = self.payload.get("event", {})
        return event

    @property
    def type(self) -> str:
        """The type of the event, or of the interaction."""
        return str(self.event.get("type") or self.payload.get("type", ""))

    @property
    def is_taken(self) -> bool:
        """Say whether the app took it."""
        return any(one.answer.failure is None for one in self.tries)

    @property
    def took_ms(self) -> float:
        """How long the app needed for its last answer."""
        return self.tries[-1].answer.took_ms

    def __repr__(self) -> str:
        state = "taken" if self.is_taken else "given up" if self.is_over else "under way"
        return f"<Delivery {self.kind} {self.type}: {state} after {len(self.tries)} tries>"


class Courier(Protocol):
    """Brings deliveries to the app: over HTTP, or over a WebSocket."""

    async def carry(self, delivery: Delivery, number: int, reason: str | None) -> Answer:
        """Try once; a failure is an answer, too."""
        ...


class PostOffice:
    """Sends deliveries side by side, and again those that were not taken, as Slack does."""

    def __init__(self, time: Time, rules: Rules, changed: Callable[[], None]) -> None:
        self.courier: Courier | None = None
        """Who carries; without one nothing is sent, for the app is connected nowhere."""
        self.all: list[Delivery] = []
        self._time = time
        self._rules = rules
        self._changed = changed
        self._under_way: set[asyncio.Task[None]] = set()
        self._held: list[tuple[Delivery, Courier]] | None = None
        self._failures: list[BaseException] = []

    def send(self, delivery: Delivery) -> None:
        """Begin to deliver; interactions are tried once, for a person is waiting."""
        if self.courier is None:
            return
        self.all.append(delivery)
        if self._held is not None:
            self._held.append((delivery, self.courier))
        else:
            self._begin(delivery, self.courier)

    def hold(self) -> None:
        """Keep back what is sent from now on."""
        self._held = []

    def release(self, *, reverse: bool) -> Iterator[Delivery]:
        """Send what was kept back, each as soon as the next is asked for; keep nothing any more."""
        held, self._held = self._held or [], None
        for delivery, courier in reversed(held) if reverse else held:
            self._begin(delivery, courier)
            yield delivery

    def _begin(self, delivery: Delivery, courier: Courier) -> None:
        task = asyncio.create_task(self._deliver(delivery, courier))
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failures.append(failure)

    async def _deliver(self, delivery: Delivery, courier: Courier) -> None:
        again = self._rules.retry_after_s if delivery.kind == "event" else ()
        reason: str | None = None
        for number, after_s in enumerate((0.0, *again)):
            await self._time.reach(self._time.now() + round(after_s * 1000))
            at_ms = self._time.now()
            answer = await courier.carry(delivery, number, reason)
            delivery.tries.append(Try(number=number, reason=reason, at_ms=at_ms, answer=answer))
            self._changed()
            reason = answer.failure
            if reason is None or answer.no_retry:
                break
        delivery.is_over = True
        self._changed()

    async def close(self) -> None:
        """Give up what is under way; a defect of this Slack is raised, not hidden."""
        under_way = list(self._under_way)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        for failure in self._failures:
            raise failure
