"""Where bytes meet one agent's connection: the only place of the gateway that touches a socket.

Bounded both ways. What an agent sends faster than it is served waits in its own socket: nothing is
read while as many calls are under way as :class:`Bounds` allows, or while the agent does not read.
What it does not read waits here, up to the bound; then the connection is cut.
"""

import asyncio
import logging
import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from nexus.delivery import OutletClosed
from nexus.gateway import codec, frames
from nexus.gateway.conversation import Admit, Conversation, HangUp, Patience, Say, Step
from nexus.gateway.frames import CloseCode, FrameError, FrameReader, Message, Opcode
from nexus.gateway.outgoing import Outgoing
from nexus.gateway.rounds import Rounds
from nexus.gateway.seams import Guest, Host, Refused
from oblivion.protocol import MAX_FRAME_BYTES, NAMESPACE

_log = logging.getLogger("nexus.gateway")


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What one connection may take up."""

    message_bytes: int = MAX_FRAME_BYTES
    calls: int = 64
    """Under way at once; further ones wait in the socket."""
    call_bytes: int = 1024 * 1024
    """Of the calls under way, as they came."""
    unread_events: int = 256
    unread_bytes: int = 1024 * 1024
    stall_s: float = 10.0
    """For how long a stored event waits for an agent that takes nothing at all."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What all lines of a node have in common."""

    host: Host
    rounds: Rounds
    patience: Patience = field(default_factory=Patience)
    bounds: Bounds = field(default_factory=Bounds)


class Registry(Protocol):
    """Where the server that accepts connections wants them listed, so that it can stop them."""

    connections: set[Any]
    tasks: set[asyncio.Task[None]]


class Line(asyncio.Protocol):
    """One connection after its upgrade, and the :class:`~nexus.delivery.Outlet` of its agent."""

    __slots__ = (
        "_call_bytes",
        "_calls",
        "_conversation",
        "_drained",
        "_exchange",
        "_guest",
        "_is_clogged",
        "_is_closing",
        "_is_deaf",
        "_is_held",
        "_is_lost",
        "_outgoing",
        "_query",
        "_reader",
        "_registry",
        "_round",
        "_transport",
    )

    _transport: asyncio.Transport
    _outgoing: Outgoing
    _conversation: Conversation
    _round: int

    def __init__(self, exchange: Exchange, registry: Registry, query: str) -> None:
        self._exchange = exchange
        self._registry = registry
        self._query = query
        self._reader = FrameReader(exchange.bounds.message_bytes)
        self._guest: Guest | None = None
        self._calls = 0
        self._call_bytes = 0
        self._drained: list[asyncio.Future[None]] | None = None
        self._is_clogged = False
        self._is_closing = False
        self._is_deaf = False
        self._is_held = False
        self._is_lost = False

    # --- what the transport tells -----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello in Engine.IO's way."""
        self._transport = cast("asyncio.Transport", transport)
        self._outgoing = Outgoing(self._transport)
        self._registry.connections.add(self)
        patience = self._exchange.patience
        self._conversation = Conversation(NAMESPACE, patience, _now())
        self._round = self._exchange.rounds.enter(self, self._conversation.due)
        hello = codec.opened(
            secrets.token_urlsafe(12),
            ping_s=patience.ping_s,
            patience_s=patience.pong_s,
            max_bytes=self._exchange.bounds.message_bytes,
        )
        self._write(frames.text(hello))

    def data_received(self, data: bytes) -> None:
        """Take in what the agent sends."""
        if not self._is_deaf:
            self._reader.feed(data)
            self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever deals with this connection."""
        self._is_lost = self._is_closing = True
        self._registry.connections.discard(self)
        self._exchange.rounds.leave(self, self._round)
        self._wake_waiters()
        guest, self._guest = self._guest, None  # or the two would keep each other in memory
        self._reader = FrameReader(0)
        if guest is not None:
            guest.gone()

    def pause_writing(self) -> None:
        """Stop reading, too: whoever does not read its answers is not asked for more calls."""
        self._is_clogged = True

    def resume_writing(self) -> None:
        """Go on."""
        self._is_clogged = False
        self._transport.set_write_buffer_limits()
        self._wake_waiters()
        if not self._is_deaf:
            self._read()

    def tick(self, now: float) -> None:
        """Do what is due: ping, or give up on a peer that does not answer."""
        if self._is_lost:
            return
        if self._is_closing:
            self._transport.abort()
            return
        self._follow(self._conversation.tick(now), 0)
        if not self._is_closing:
            self._round = self._exchange.rounds.enter(self, self._conversation.due)

    def shutdown(self) -> None:
        """Hang up because the server stops, so that clients come back by themselves."""
        self._hang_up(CloseCode.SERVICE_RESTART, "this Nexus is stopping")

    # --- reading ----------------------------------------------------------------------------

    def _read(self) -> None:
        """Take messages as long as there is room for what they ask for."""
        try:
            while not self._is_busy():
                message = self._reader.next()
                if message is None:
                    self._hold(False)
                    return
                self._take(message)
        except FrameError as error:
            self._is_deaf = True  # there is no telling where its next frame begins
            self._refuse(error.code, str(error))
            return
        self._hold(True)

    def _hold(self, wanted: bool) -> None:
        """Leave what comes in the socket, or take it again."""
        if wanted is not self._is_held and not self._is_lost:
            self._is_held = wanted
            (self._transport.pause_reading if wanted else self._transport.resume_reading)()

    def _is_busy(self) -> bool:
        bounds = self._exchange.bounds
        return (
            self._is_lost
            or self._is_clogged
            or self._calls >= bounds.calls
            or self._call_bytes >= bounds.call_bytes
        )

    def _take(self, message: Message) -> None:
        if message.opcode == Opcode.CLOSE:
            self._close_after_peer(message.payload)
        elif self._is_closing:
            return
        elif message.opcode == Opcode.TEXT:
            step = self._conversation.receive(message.payload)
            self._follow(step, len(message.payload))
        elif message.opcode == Opcode.PING:
            self._write(frames.pong(message.payload))

    def _follow(self, step: Step, size: int) -> None:
        match step:
            case codec.Event() if self._guest is not None:
                self._call(self._guest, step, size)
            case Say():
                self._write(frames.text(step.packet))
            case Admit():
                self._start(self._join(step.auth))
            case HangUp(code=CloseCode.NORMAL):
                self._hang_up(step.code, step.reason)
            case HangUp():
                self._refuse(step.code, step.reason)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._registry.tasks.add(task)
        task.add_done_callback(self._registry.tasks.discard)

    async def _join(self, auth: Any) -> None:
        """Have the agent let in."""
        try:
            guest = await self._exchange.host.admit(self, self._query, auth)
        except Refused as refusal:
            self._write(frames.text(self._conversation.turn_away(refusal.error)))
            return
        self._guest, self._query = guest, ""
        if self._is_closing:
            guest.gone()
        self._write(frames.text(self._conversation.let_in(secrets.token_urlsafe(12))))
        await guest.welcome()

    def _call(self, guest: Guest, call: codec.Event, size: int) -> None:
        answer = guest.at_once(call.name, call.data)
        if answer is not None:
            self._acknowledge(call, answer)
            return
        self._calls += 1
        self._call_bytes += size
        self._start(self._answer(guest, call, size))

    async def _answer(self, guest: Guest, call: codec.Event, size: int) -> None:
        answer = await guest.call(call.name, call.data, call.text)
        self._calls -= 1
        self._call_bytes -= size
        self._acknowledge(call, answer)
        if self._is_held:
            self._read()

    def _acknowledge(self, call: codec.Event, answer: Any) -> None:
        if call.id is not None:
            self._write(frames.text(codec.ack(NAMESPACE, call.id, answer)))

    # --- writing ----------------------------------------------------------------------------

    async def send(self, type_: str, message: Mapping[str, Any]) -> None:
        """Write one event.

        One that is stored, and so has a ``seq``, waits for an agent that reads slowly; a hint does
        not, for whoever sends hints has others to serve.

        Raises:
            OutletClosed: the connection is gone, or was cut because the agent does not read.
        """
        if self._is_full():
            await self._make_room(patient="seq" in message)
        if self._is_closing or self._transport.is_closing():
            raise OutletClosed("the connection is closed")
        self._write(frames.text(codec.event(NAMESPACE, type_, message)))

    async def flush(self) -> None:
        """Wait until the transport holds nothing more."""
        self._outgoing.write()
        if self._transport.is_closing() or not self._outgoing.bytes_unread:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._drained = [*(self._drained or ()), waiter]
        self._transport.set_write_buffer_limits(0)  # calls resume_writing once it is empty
        await waiter

    async def close(self) -> None:
        """Put the agent out of the namespace and hang up."""
        self._hang_up(CloseCode.NORMAL, "Nexus ended this session", packet=codec.left(NAMESPACE))

    def _write(self, frame: bytes) -> None:
        if not self._is_closing:
            self._outgoing.add(frame)

    def _is_full(self) -> bool:
        held = 0 if self._is_lost else self._outgoing.bytes_unread
        if not held:
            return False
        bounds = self._exchange.bounds
        return held >= bounds.unread_bytes or self._outgoing.frames_unread >= bounds.unread_events

    async def _make_room(self, *, patient: bool) -> None:
        self._outgoing.write()
        await asyncio.sleep(0)  # not every loop writes to the socket before its turn is over
        while not self._transport.is_closing() and self._is_full():
            held = self._outgoing.bytes_unread
            if not patient or not await self._takes_some(held):
                self._cut(held)

    async def _takes_some(self, held: int) -> bool:
        try:
            async with asyncio.timeout(self._exchange.bounds.stall_s):
                await self.flush()
        except TimeoutError:
            return self._outgoing.bytes_unread < held
        return True

    def _cut(self, held: int) -> None:
        unread = self._outgoing.frames_unread
        _log.warning("connection_cut unread_events=%d unread_bytes=%d", unread, held)
        self._is_closing = True
        self._transport.abort()
        raise OutletClosed(f"the agent left {unread} messages ({held} bytes) unread")

    def _wake_waiters(self) -> None:
        waiters, self._drained = self._drained, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    # --- the end ----------------------------------------------------------------------------

    def _refuse(self, code: CloseCode, reason: str) -> None:
        _log.warning("frame_refused reason=%r", reason)
        self._hang_up(code, reason)

    def _hang_up(self, code: CloseCode, reason: str, *, packet: bytes | None = None) -> None:
        """Say why, then wait a moment for the peer to close; closing at once might lose words."""
        if self._is_closing:
            return
        if packet is not None:
            self._write(frames.text(packet))
        self._write(frames.close(code, reason))
        self._outgoing.write()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._is_closing = True
        self._exchange.rounds.leave(self, self._round)
        until = _now() + self._exchange.patience.linger_s
        self._round = self._exchange.rounds.enter(self, until)
        self._hold(False)
        if self._guest is not None:
            self._guest.gone()

    def _close_after_peer(self, payload: bytes) -> None:
        if not self._is_closing:
            code = int.from_bytes(payload[:2]) if len(payload) >= 2 else CloseCode.NORMAL
            self._write(frames.close(code))
            self._outgoing.write()
        self._is_closing = True
        self._transport.close()


def _now() -> float:
    return asyncio.get_running_loop().time()
