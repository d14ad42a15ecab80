"""Where lean agents live: the protocol's agent on a bare WebSocket, whose handlers do nothing.

They keep every promise that an agent makes: events are acknowledged, calls are sent again after
a reconnect with the same envelope until they are answered, and nothing is handled twice.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench.load import frames
from bench.load.race import Race

_CONNECTED_WITHIN_S = 10.0
_READY_WITHIN_S = 30.0
"""As patient as the SDK: 10 s for a connection, as much to join, and 20 s for an answer."""


@dataclass(kw_only=True)
class Ledger:
    """What all agents of a process did; the numbers are those that Nexus confirmed."""

    started: Callable[[str], object] = lambda _title: None
    """Called with a task's title as its handler begins."""
    done: Callable[[str], object] = lambda _task_id: None
    """Called with a task's id once it is recorded as DONE."""
    claims: int = 0
    lost_claims: int = 0
    holes: int = 0
    """Events that came out of order or with one missing: must stay zero."""
    refusals: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Call:
    """A call that was not answered yet; ``attempt`` is that of a held task."""

    frame: bytes
    task_id: str
    attempt: int | None


class Agent:
    """One agent, over as many connections as it takes."""

    def __init__(self, token: str, ledger: Ledger, *, concurrency: int = 1) -> None:
        self.ready = asyncio.Event()
        self.lost = asyncio.Event()
        self.last_seq = 0
        self._token = token
        self._ledger = ledger
        self._concurrency = concurrency
        self._epoch: str | None = None
        self._numbers = 0
        self._calls: dict[int, _Call] = {}
        self._seqs: list[int] = []
        self._race = Race(concurrency)
        self._socket: WSTransport | None = None
        self._entered: asyncio.Future[None] | None = None

    async def connect(self, url: str) -> None:
        """Connect, announce the agent and return once Nexus counts it as ready.

        Raises:
            OSError: Nexus cannot be reached, or hung up.
            TimeoutError: it did not answer.
        """
        self.ready.clear()
        self.lost.clear()
        self._entered = asyncio.get_running_loop().create_future()
        self._entered.add_done_callback(_taken_note_of)
        listener = _Listener(self)
        try:
            await _opened(listener, url)
            if self._socket is None:  # picows says nothing of a server that dies in the handshake
                raise ConnectionError("Nexus hung up")
            async with asyncio.timeout(_READY_WITHIN_S):
                await self._entered
        except BaseException:
            listener.agent = None
            self.disconnect()
            self.lost.set()
            raise

    def disconnect(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.disconnect(False)

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._socket is not None

    def beat(self) -> None:
        """Send a sign of life, as the SDK does every 30 seconds."""
        if self.ready.is_set():
            self._numbers += 1
            beat = {"ping": True, "active": self._active()}
            self._send(frames.call("heartbeat", beat, self._numbers))

    def _active(self) -> list[dict[str, Any]]:
        """Return the attempts whose outcome Nexus has not confirmed."""
        return [
            {"taskId": call.task_id, "attempt": call.attempt}
            for call in self._calls.values()
            if call.attempt is not None
        ]

    # --- what the connection brings

    def opened(self, socket: WSTransport) -> None:
        """Take a connection into use."""
        self._socket = socket

    def closed(self, socket: WSTransport) -> None:
        """Note that a connection is gone."""
        if self._socket is socket:
            self._socket = None
            self.ready.clear()
            self.lost.set()
            self._enter(ConnectionError("Nexus hung up"))

    def received(self, frame: bytes) -> None:
        """Take in one frame."""
        kind = frame[:2]
        if kind == frames.EVENT:
            self._event(*frames.event(frame))
        elif kind == frames.ACK:
            self._answer(*frames.ack(frame))
        elif frame == frames.PING:
            self._send(frames.PONG)
        elif frame[:1] == frames.OPEN:
            self._send(frames.connect(self._token))
        elif kind == frames.REFUSED:
            self._enter(ConnectionError(frame.decode()))

    def _event(self, name: str, data: dict[str, Any]) -> None:
        if name == "task_available":
            self._race.offered(data["payload"]["taskId"])
            self._claim_next()
        elif name == "task_claimed":
            self._race.withdrawn(data["payload"]["taskId"])
        elif name == "heartbeat":
            self.beat()
        elif name == "connected":
            self._announce(data["epoch"])
        elif "seq" in data:
            self._durable(name, data["seq"], data["payload"])

    def _announce(self, epoch: str) -> None:
        payload = {
            "capabilities": [],
            "version": "bench",
            "protocol": 1,
            "acks": True,
            "maxConcurrency": self._concurrency,
            "active": self._active(),
            "lastSeq": self.last_seq,
        }
        if self._epoch is not None:
            payload["epoch"] = self._epoch
        self._epoch = epoch
        self._send(frames.call("agent_ready", payload, 0))

    def _durable(self, name: str, seq: int, payload: dict[str, Any]) -> None:
        if not self._seqs:
            asyncio.get_running_loop().call_soon(self._acknowledge)
        self._seqs.append(seq)
        if seq <= self.last_seq:
            return  # sent again after a reconnect
        self._ledger.holes += seq != self.last_seq + 1
        self.last_seq = seq
        if name == "task_assigned":
            self._handle(payload)

    def _acknowledge(self) -> None:
        """Acknowledge all events of one moment in one frame, as the SDK does."""
        if self._seqs and self.ready.is_set():
            self._send(frames.call("event_ack", {"seqs": self._seqs}))
            self._seqs = []

    def _handle(self, task: dict[str, Any]) -> None:
        """Do the work, which is none, and say that it is done."""
        self._race.assigned(task["taskId"])
        self._ledger.started(task["title"])
        payload = {"taskId": task["taskId"], "attempt": task["attempt"], "status": "DONE"}
        self._call("task_update", payload)

    def _call(self, type_: str, payload: dict[str, Any]) -> None:
        self._numbers += 1
        frame = frames.call(type_, payload, self._numbers)
        self._calls[self._numbers] = _Call(
            frame=frame, task_id=payload["taskId"], attempt=payload.get("attempt")
        )
        self._send(frame)

    def _send(self, frame: bytes) -> None:
        if self._socket is not None:
            self._socket.send(WSMsgType.TEXT, frame)

    # --- answers

    def _answer(self, number: int, answer: dict[str, Any]) -> None:
        if number == 0:
            return self._welcomed(answer)
        call = self._calls.pop(number, None)
        if call is None:
            return None
        if "success" in answer:
            return self._claimed(call.task_id, success=answer["success"])
        return self._ended(call.task_id, answer)

    def _welcomed(self, answer: dict[str, Any]) -> None:
        if "error" in answer:
            self._enter(ConnectionError(orjson.dumps(answer).decode()))
            return
        self.ready.set()
        self._enter(None)
        self._acknowledge()
        for call in self._calls.values():
            self._send(call.frame)

    def _enter(self, failure: ConnectionError | None) -> None:
        """Tell whoever connects how that ended."""
        if self._entered is None or self._entered.done():
            return
        if failure is None:
            self._entered.set_result(None)
        else:
            self._entered.set_exception(failure)

    def _ended(self, task_id: str, answer: dict[str, Any]) -> None:
        if "error" in answer:
            self._ledger.refusals.append(orjson.dumps(answer).decode())
        else:
            self._ledger.done(task_id)
        self._race.slots_freed(1)
        self._claim_next()

    # --- the claim policy

    def _claim_next(self) -> None:
        while (task_id := self._race.next_claim()) is not None:
            self._call("claim_task", {"taskId": task_id})

    def _claimed(self, task_id: str, *, success: bool) -> None:
        self._ledger.claims += 1
        self._ledger.lost_claims += not success
        self._race.claimed(task_id, success=success)
        self._claim_next()


def _taken_note_of(entered: asyncio.Future[Any]) -> None:
    """Keep asyncio from complaining of a failure that came before anybody waited."""
    if not entered.cancelled():
        entered.exception()


class _Listener(WSListener):
    """Passes on what one connection brings, as long as its agent wants it."""

    def __init__(self, agent: Agent) -> None:
        self.agent: Agent | None = agent

    def on_ws_connected(self, transport: WSTransport) -> None:
        if self.agent is None:
            transport.disconnect(False)
        else:
            self.agent.opened(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self.agent is not None and frame.msg_type == WSMsgType.TEXT:
            self.agent.received(frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self.agent is not None:
            self.agent.closed(transport)


async def _opened(listener: _Listener, url: str) -> None:
    """Open a WebSocket, or give up in time: one to a dying server ends neither way by itself.

    Raises:
        OSError: Nexus cannot be reached.
        TimeoutError: it did not answer.
    """
    address = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    opening = asyncio.ensure_future(
        ws_connect(
            lambda: listener, address, websocket_handshake_timeout=None, read_buffer_init_size=1024
        )
    )
    opening.add_done_callback(_taken_note_of)
    done, _ = await asyncio.wait({opening}, timeout=_CONNECTED_WITHIN_S)
    if not done:
        opening.cancel()
        raise TimeoutError("no WebSocket was opened in time")
    opening.result()
