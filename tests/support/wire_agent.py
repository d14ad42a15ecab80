"""Where a lean agent lives that notes all it hears and says, and whose process may be replaced."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from kill_journal import Journal, What, digest
from oblivion.protocol import EventType
from wire_link import LOST, Refused, WireLink, wire_link

Payload = dict[str, Any]
TIMESTAMP = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How often, from 0 to 1, an agent does what a plain one never does."""

    fails: float = 0.02
    gives_up: float = 0.02
    hands_back: float = 0.02
    speaks: float = 0.2
    acks_late: float = 0.2
    repeats_itself: float = 0.1
    """Sends an answered call once more."""
    haunts: float = 0.5
    """Its old process goes on calling after it was replaced."""


USUAL = Habits()


@dataclass(eq=False, kw_only=True)
class Call:
    """A call that is resent until it is answered."""

    id: str
    type: str
    payload: Payload
    answer: asyncio.Future[Payload]


@dataclass(kw_only=True)
class Memory:
    """What a process knows and loses when it dies."""

    instance: str
    epoch: str | None = None
    last_seq: int = 0
    seen: set[int] = field(default_factory=set)
    held: dict[str, int] = field(default_factory=dict)
    unsettled: set[int] = field(default_factory=set)
    """Events that were received and whose acknowledgement Nexus has not confirmed."""


class WireAgent:
    """An agent that comes back whenever Nexus is up, and works through what it is given."""

    def __init__(
        self,
        name: str,
        journal: Journal,
        rng: random.Random,
        *,
        habits: Habits = USUAL,
        slots: int = 4,
    ) -> None:
        self.name = name
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.online = asyncio.Event()
        self.hints: list[tuple[str, Payload]] = []
        self.news = asyncio.Event()
        self._journal = journal
        self._rng = rng
        self.habits = habits
        self._slots = slots
        self._numbers = count(1)
        self._calls: dict[str, Call] = {}
        self._asked: dict[int, Callable[[Payload], None]] = {}
        self._link: WireLink | None = None
        self._work: set[asyncio.Task[Any]] = set()
        self.memory = Memory(instance=f"{name}-1")

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do or to say any more."""
        return not self._work and not self._calls

    async def live(self, url: str, token: str, up: asyncio.Event) -> None:
        """Be connected whenever ``up`` is set, until cancelled."""
        try:
            while True:
                await up.wait()
                try:
                    async with wire_link(url, token) as link:
                        await self._converse(link)
                except (Refused, *LOST):
                    await asyncio.sleep(0)
                finally:
                    self._link = None
                    self.online.clear()
                    self._asked.clear()
        finally:
            for task in self._work:
                task.cancel()

    def be_reborn(self) -> None:
        """Replace the process: what it knew is gone, but its calls may still be on their way."""
        if self._rng.random() >= self.habits.haunts:
            for task in self._work:
                task.cancel()
            self._calls.clear()
        number = int(self.memory.instance.rpartition("-")[2]) + 1
        self.memory = Memory(instance=f"{self.name}-{number}")
        self._note(What.REBORN)
        if self._link is not None:
            self._link.abort()

    async def call(self, type_: str, payload: Payload) -> Payload:
        """Send a call, again after each reconnect, until it is answered."""
        name = f"{self.name}-call-{next(self._numbers)}"
        answer: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
        call = Call(id=name, type=type_, payload=payload, answer=answer)
        self._calls[name] = call
        await self._send(call)
        return await answer

    def _note(self, what: What, **facts: Any) -> None:
        self._journal.note(self.name, what, **facts)

    async def _converse(self, link: WireLink) -> None:
        while (packet := await link.receive())[2][0] != EventType.CONNECTED:
            assert packet[0] == "event", "something came before the greeting"
        await self._announce(link)
        self._link = link
        for call in list(self._calls.values()):
            await self._send(call)
        self.online.set()
        while True:
            await self._take(await link.receive())

    async def _announce(self, link: WireLink) -> None:
        memory = self.memory
        ready: Payload = {
            "version": "1",
            "acks": True,
            "maxConcurrency": self._slots,
            "instanceId": memory.instance,
            "active": [{"taskId": task, "attempt": n} for task, n in memory.held.items()],
            "lastSeq": memory.last_seq,
        }
        if memory.epoch is not None:
            ready["epoch"] = memory.epoch
        await link.send("agent_ready", _envelope("agent_ready", ready), 0)
        while True:
            kind, number, values = await link.receive()
            if kind == "ack" and number == 0:
                break
            await self._take((kind, number, values))
        self._is_ready(values[0])

    def _is_ready(self, answer: Payload) -> None:
        assert "error" not in answer, answer
        self.memory.epoch = answer["epoch"]
        self._note(What.READY, seq=answer["headSeq"], ok=answer["resumed"], id=answer["epoch"])
        for task in answer["lost"]:
            self.memory.held.pop(task, None)

    async def _take(self, packet: tuple[str, int | None, list[Any]]) -> None:
        kind, number, values = packet
        if kind == "ack":
            settle = self._asked.pop(number or 0, None)
            if settle is not None:
                settle(values[0] if values else {})
            return
        type_, message = values
        if type_ == EventType.HEARTBEAT:
            await self._beat()
        elif "seq" in message:
            await self._receive(type_, message)
        elif type_ == EventType.GAP:
            self._note(What.GAP, text=digest(message["payload"]))
        else:
            self._hint(type_, message["payload"])

    def _hint(self, type_: str, payload: Payload) -> None:
        self.hints.append((type_, payload))
        self.news.set()
        if type_ == EventType.TASK_AVAILABLE and len(self.memory.held) < self._slots:
            self._do(self.call("claim_task", {"taskId": payload["taskId"]}))

    async def _beat(self) -> None:
        active = [{"taskId": task, "attempt": n} for task, n in self.memory.held.items()]
        await self._emit("heartbeat", {"ping": True, "active": active}, lambda _answer: None)

    async def _receive(self, type_: str, message: Payload) -> None:
        seq, payload = message["seq"], message["payload"]
        task, attempt = payload.get("taskId"), payload.get("attempt")
        self._note(
            What.RECEIVED,
            id=message["id"],
            kind=type_,
            task=task,
            attempt=attempt,
            seq=seq,
            status="withdrawn" if message.get("withdrawn") else None,
            digest=digest(payload),
        )
        memory = self.memory
        memory.unsettled.add(seq)
        first = seq not in memory.seen
        memory.seen.add(seq)
        memory.last_seq = max(memory.last_seq, seq)
        if first and type_ == EventType.TASK_ASSIGNED and not message.get("withdrawn"):
            memory.held[task] = attempt
            self._do(self._handle(memory, task, attempt))
        elif type_ == EventType.TASK_CANCELLED and memory.held.get(task) == attempt:
            del memory.held[task]
        if self._rng.random() >= self.habits.acks_late:
            await self.acknowledge()

    async def acknowledge(self) -> None:
        """Acknowledge whatever was received and is not settled."""
        memory, seqs = self.memory, sorted(self.memory.unsettled)
        if not seqs:
            return

        def settled(answer: Payload) -> None:
            memory.unsettled.difference_update(seqs)
            for seq in seqs:
                self._note(What.ACKED, seq=seq, ok="error" not in answer)

        await self._emit("event_ack", {"seqs": seqs}, settled)

    async def _handle(self, memory: Memory, task: str, attempt: int) -> None:
        self._note(What.STARTED, task=task, attempt=attempt, id=memory.instance)
        await self.may_end.wait()
        if self._rng.random() < self.habits.speaks:
            text = f"said by {self.name} {next(self._numbers)}"
            said = {"taskId": task, "text": text, "clientMessageId": text}
            await self.call("post_message", said)
        await self._end(task, attempt)
        memory.held.pop(task, None)
        await self.acknowledge()

    async def _end(self, task: str, attempt: int) -> None:
        move: Payload = {"taskId": task, "attempt": attempt}
        await self.call("task_update", {**move, "status": "IN_PROGRESS"})
        dice, habits = self._rng.random(), self.habits
        if dice < habits.fails:
            end: Payload = {"status": "FAILED", "error": "a bad day"}
        elif dice < habits.fails + habits.gives_up:
            end = {"status": "FAILED", "error": "hopeless", "retry": False}
        elif dice < habits.fails + habits.gives_up + habits.hands_back:
            end = {"status": "TODO"}
        else:
            end = {"status": "DONE", "result": {"by": self.name, "attempt": attempt}}
        await self.call("task_update", {**move, **end})

    def _do(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)  # itself, or it would never begin where it is cancelled
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _send(self, call: Call) -> None:
        payload = call.payload
        self._note(
            What.CALLED,
            id=call.id,
            kind=call.type,
            task=payload.get("taskId"),
            attempt=payload.get("attempt"),
            status=payload.get("status"),
            digest=digest(payload),
            text=payload.get("text"),
        )
        await self._emit(call.type, payload, lambda answer: self._answered(call, answer), call.id)

    def _answered(self, call: Call, answer: Payload) -> None:
        error = answer.get("error")
        if isinstance(error, dict) and error["retryable"]:
            return  # the connection has ended; the next one takes the call along
        self._note(
            What.REPLIED,
            id=call.id,
            kind=call.type,
            task=call.payload.get("taskId"),
            attempt=call.payload.get("attempt"),
            status=call.payload.get("status"),
            ok=not isinstance(error, dict) and answer.get("success", True),
            digest=digest(answer),
            text=error["code"] if isinstance(error, dict) else None,
        )
        if not call.answer.done():
            call.answer.set_result(answer)
        if self._rng.random() >= self.habits.repeats_itself:
            self._calls.pop(call.id, None)
        else:
            self._do(self._send(call))

    async def _emit(
        self,
        type_: str,
        payload: Payload,
        settle: Callable[[Payload], None],
        id_: str | None = None,
    ) -> None:
        if self._link is None:
            return
        number = next(self._numbers)
        self._asked[number] = settle
        try:
            await self._link.send(type_, _envelope(type_, payload, id_), number)
        except LOST:
            return


def _envelope(type_: str, payload: Payload, id_: str | None = None) -> Payload:
    envelope: Payload = {"type": type_, "payload": payload, "timestamp": TIMESTAMP}
    return envelope if id_ is None else {**envelope, "id": id_}
