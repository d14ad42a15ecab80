"""Where the working parts of a connected agent are put together, and started and stopped as one."""

import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from oblivion._acks import Acknowledger
from oblivion._audience import Audience
from oblivion._calls import Calls
from oblivion._claimer import Claimer
from oblivion._clock import Clock, within
from oblivion._config import Settings
from oblivion._crew import Crew, Handling
from oblivion._desk import Desk
from oblivion._dispatcher import Destinations, Dispatcher
from oblivion._handlers import Handlers
from oblivion._inbox import Inbox
from oblivion._link import Link
from oblivion._logging import get_log
from oblivion._mail import Message, Messages
from oblivion._offered import OfferedTools
from oblivion._questions import Asked, Questions
from oblivion._runner import Runner
from oblivion._steering import Steering
from oblivion._thoughts import Thoughts
from oblivion._tool_server import ToolServer
from oblivion._tools import Tools
from oblivion.errors import OblivionError, UsageError
from oblivion.protocol import (
    PROTOCOL_VERSION,
    AgentReady,
    AgentReadyAck,
    CancelReason,
    ConnectedPayload,
    ContextUpdatePayload,
    EventType,
    HeartbeatCall,
    HeartbeatPayload,
    ServerDrainingPayload,
    wrap,
)

DISCONNECTED = "disconnected"
"""The name under which ``on_disconnected`` is registered."""

_BYSTANDERS = "connection"

_GRACE_SECONDS = 2.0
"""What a cancelled handler gets for its cleanup."""

_log = get_log("agent")


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What an author's functions are for: handlers of events, and tools for others."""

    handlers: Handlers
    tools: OfferedTools

    def freeze(self, frozen: bool) -> None:
        """Refuse (or accept) further ones: Nexus was told what this agent can do."""
        self.handlers.freeze(frozen)
        self.tools.freeze(frozen)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a client stays over all its sessions: its SDK, and its memory of events."""

    sdk: str
    inbox: Inbox


class Agent:
    """What happens on the connections of one session: calls out, events in, tasks at work."""

    def __init__(
        self, settings: Settings, abilities: Abilities, identity: Identity, clock: Clock
    ) -> None:
        limits, handlers = settings.limits, abilities.handlers
        task_handler = handlers.get(EventType.TASK_ASSIGNED)
        self._settings = settings
        self._identity = identity
        # Of this session alone: what an earlier one held, its handlers were cancelled for.
        self._instance_id = str(uuid.uuid4())
        self._inbox = identity.inbox
        self._clock = clock
        self._takes_tasks = task_handler is not None
        self._reconnect_after: float | None = None
        self._is_online = False
        self.crew = Crew(settings.client_id, limits.handler_threads)
        self._acks = Acknowledger(self._inbox, clock)
        self._audience = Audience(handlers, self.crew, limits.queued_events)
        self._bystanders = Audience(handlers, self.crew, limits.queued_events)
        self.calls = Calls(clock, limits.pending_calls)
        self.desk = Desk(self.calls, self.crew, self._lost)
        self.tools = Tools(self.calls, clock)
        self.thoughts = Thoughts(self.calls, clock)
        self._tool_server = ToolServer(
            abilities.tools, self.calls, self.crew, clock, limits.queued_events
        )
        self.questions = Questions(self.calls, self.desk, clock, self._pass_on)
        self._runner = Runner(
            task_handler,
            self.desk,
            self.crew,
            self._steering(),
            settings.max_concurrency,
            self._slot_changed,
        )
        self.claimer = Claimer(self.calls, clock, limits.offers, self._free_slots)
        self._dispatcher = Dispatcher(
            self._inbox, self._acks, limits.queued_events, self._destinations()
        )

    def announcement(self) -> dict[str, Any]:
        """Return the ``agent_ready`` of this moment."""
        settings, inbox = self._settings, self._inbox
        ready = AgentReady(
            capabilities=list(settings.capabilities),
            version=settings.version or self._identity.sdk,
            protocol=PROTOCOL_VERSION,
            acks=True,
            max_concurrency=settings.max_concurrency,
            accepts_tasks=self._takes_tasks,
            instance_id=self._instance_id,
            sdk=self._identity.sdk,
            active=self.desk.held.active(),
            epoch=inbox.epoch or None,
            last_seq=inbox.last_seq,
            tools=self._tool_server.offers,
        )
        return wrap(EventType.AGENT_READY, ready, self._clock.now())

    def heartbeat(self, ping: HeartbeatPayload | None = None) -> dict[str, Any]:
        """Return a heartbeat; one that answers ``ping`` echoes its time."""
        beat = HeartbeatCall(
            server_time=ping.server_time if ping is not None else None,
            active=self.desk.held.active(),
        )
        return wrap(EventType.HEARTBEAT, beat, self._clock.now())

    def online(self, link: Link, greeting: ConnectedPayload, ready: AgentReadyAck) -> None:
        """Go on over a new connection: give up lost tasks, send what waits."""
        if self._inbox.adopt(ready.epoch or greeting.epoch):
            _log.warning("history_restarted", epoch=ready.epoch)
        self._reconnect_after = None
        self._is_online = True
        self.accept(ready)
        self._acks.attach(link)
        self.calls.attach(link)
        self._bystanders.tell(Handling(EventType.CONNECTED), greeting, lane=_BYSTANDERS)

    def accept(self, ready: AgentReadyAck) -> None:
        """Give up the tasks that Nexus no longer counts as this agent's."""
        for task_id in ready.lost:
            hold = self.desk.held.get(task_id)
            if hold is not None:
                self.desk.lose(task_id, hold.attempt, CancelReason.LEASE_LOST)

    def receive(self, link: Link, event: str, data: Any) -> None:
        """Take an event from a connection."""
        self._dispatcher.receive(link, event, data)

    def offline(self, reason: str) -> None:
        """Keep everything until the next connection; said twice, it counts once."""
        if not self._is_online:
            return
        self._is_online = False
        self._acks.attach(None)
        self.calls.detach()
        self._bystanders.tell(Handling(DISCONNECTED), reason, lane=_BYSTANDERS)

    def take_reconnect_after(self) -> float | None:
        """Return, once, the seconds after which a draining server asked to be left alone."""
        asked, self._reconnect_after = self._reconnect_after, None
        return asked

    async def ask_human(
        self, task_id: str, question: Asked, timeout: float | None
    ) -> ContextUpdatePayload:
        """Ask in the task's thread and return the answer, which then counts as handled."""
        message, receipt = await self.questions.ask(task_id, question, timeout)
        self._acks.finish(receipt)
        return message

    def messages(self, task_id: str, *, wait: bool) -> Messages:
        """Return what people write to the handler at work on a held task."""
        if self._settings.on_busy != "steer":
            raise UsageError("messages() needs a client with on_busy='steer'")
        return Messages(self._runner.mail_of(self.desk.hold(task_id)), wait=wait)

    def retire(self) -> None:
        """Take no more tasks, and offer no tools; tasks that have not started go back."""
        self._takes_tasks = False
        self._tool_server.retire()
        self._runner.stop()

    async def drain(self) -> None:
        """Let handlers end within ``drain_timeout``, then cancel them and hand back their tasks."""
        try:
            async with within(self._clock, self._settings.drain_timeout):
                await self._runner.settled()
                await self._tool_server.settled()
                await self._audience.settled()
        except TimeoutError:
            _log.warning("drain_timeout", seconds=self._settings.drain_timeout)
            await self._runner.interrupt(_GRACE_SECONDS, hand_back=True)
            await self._tool_server.close(_GRACE_SECONDS)
            await self._audience.close(_GRACE_SECONDS)
        with suppress(TimeoutError):
            async with within(self._clock, self._settings.timeouts.close):
                await self.thoughts.flushed()
                await self.calls.flushed()
        self._acks.flush()

    def fail(self, error: OblivionError) -> None:
        """Fail at once whatever waits for Nexus or for a person."""
        unsent = self.calls.fail(error)
        if unsent:
            _log.warning("calls_unanswered", count=unsent)
        self.tools.fail(str(error))
        self.questions.fail(error)

    async def close(self) -> None:
        """Cancel what runs, and let ``on_disconnected`` be heard."""
        self._runner.stop()
        await self._runner.interrupt(_GRACE_SECONDS, hand_back=False)
        await self._tool_server.close(_GRACE_SECONDS)
        await self._audience.close(_GRACE_SECONDS)
        with suppress(TimeoutError):
            async with within(self._clock, _GRACE_SECONDS):
                await self._bystanders.settled()
        await self._bystanders.close(_GRACE_SECONDS)

    def _steering(self) -> Steering:
        hears = self._audience.listens(EventType.CONTEXT_UPDATE)
        to_handler = self._to_handler if hears else None
        bound = self._settings.limits.queued_events
        return Steering(self._settings.on_busy, self.calls, self._acks, bound, to_handler)

    def _destinations(self) -> Destinations:
        return Destinations(
            audience=self._audience,
            runner=self._runner,
            desk=self.desk,
            claimer=self.claimer,
            questions=self.questions,
            tools=self.tools,
            tool_server=self._tool_server,
            answer_heartbeat=self._answer_heartbeat,
            note_draining=self._note_draining,
        )

    def _answer_heartbeat(self, link: Link, ping: HeartbeatPayload) -> None:
        link.tell(EventType.HEARTBEAT, self.heartbeat(ping))

    def _note_draining(self, notice: ServerDrainingPayload) -> None:
        self._reconnect_after = notice.reconnect_after_ms / 1000

    def _lost(self, task_id: str, attempt: int, reason: str) -> None:
        self._runner.cancel(task_id, attempt, reason)
        self.questions.lose(task_id, reason)

    def _pass_on(self, message: Message) -> None:
        if not self._runner.hear(message):
            self._to_handler(message)

    def _to_handler(self, message: Message) -> None:
        self._dispatcher.to_handler(message)

    def _slot_changed(self) -> None:
        self.claimer.slot_changed()

    def _free_slots(self) -> int:
        return self._runner.free_slots if self._takes_tasks else 0
