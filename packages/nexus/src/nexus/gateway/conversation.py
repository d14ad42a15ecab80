"""Where it is decided what a connection does next: pure, what comes in and the time, to a step.

A client has to ask into the namespace soon after the handshake, answers pings, and says nothing
that is no packet. Whoever does otherwise is hung up on, with a reason.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeAlias

from nexus.gateway import codec
from nexus.gateway.frames import CloseCode


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a connection waits for what, in seconds."""

    connect_s: float = 10.0
    """For a client to ask into the namespace."""
    ping_s: float = 45.0
    """Between two pings; whoever has not answered the last one by then is gone. Agents give signs
    of life of their own; this is for proxies, which close what is silent for a minute."""
    pong_s: float = 20.0
    """What clients are told about it; they also wait so long for an overdue ping."""
    linger_s: float = 2.0
    """For the peer to close its side, so that the last words reach it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admit:
    """Somebody asks to come in; answer with :meth:`Conversation.let_in` or ``turn_away``."""

    auth: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Send this packet."""

    packet: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """Close the connection."""

    code: CloseCode
    reason: str


Step: TypeAlias = codec.Event | Admit | Say | HangUp | None
"""What to do now; an event is a call to be carried out, and answered where it has an ``id``."""


class Stage(Enum):
    """How far a client has come."""

    OUTSIDE = auto()
    ASKING = auto()
    INSIDE = auto()


class Conversation:
    """One client's side of the talk about one namespace."""

    __slots__ = ("_namespace", "_owes_pong", "_patience", "_stage", "due")

    def __init__(self, namespace: str, patience: Patience, now: float) -> None:
        self._namespace = namespace
        self._patience = patience
        self._stage = Stage.OUTSIDE
        self._owes_pong = False
        self.due = now + patience.connect_s
        """When :meth:`tick` wants to be called next."""

    @property
    def is_inside(self) -> bool:
        """Whether the client may be sent events."""
        return self._stage is Stage.INSIDE

    def receive(self, data: bytes) -> Step:
        """Take in one text message."""
        try:
            packet = codec.decode(data)
        except codec.Malformed as error:
            return HangUp(code=CloseCode.POLICY_VIOLATION, reason=str(error))
        match packet:
            case codec.Event():
                return self._event(packet)
            case codec.Pong():
                self._owes_pong = False
            case codec.Connect():
                return self._connect(packet)
            case codec.Leave() | codec.Close():
                return HangUp(code=CloseCode.NORMAL, reason="as you wish")
        return None

    def let_in(self, sid: str) -> bytes:
        """Return the packet that tells the client that it is in."""
        self._stage = Stage.INSIDE
        return codec.connected(self._namespace, sid)

    def turn_away(self, error: dict[str, Any]) -> bytes:
        """Return the packet that tells the client why not; it may ask again while there is time."""
        self._stage = Stage.OUTSIDE
        return codec.refused(self._namespace, error)

    def tick(self, now: float) -> Step:
        """Do what is due."""
        if self._stage is Stage.OUTSIDE:
            reason = f"no CONNECT to {self._namespace} within {self._patience.connect_s:g} s"
            return HangUp(code=CloseCode.POLICY_VIOLATION, reason=reason)
        if self._owes_pong:
            return HangUp(code=CloseCode.GOING_AWAY, reason="the last ping was not answered")
        self._owes_pong = True
        self.due = now + self._patience.ping_s
        return Say(packet=codec.PING)

    def _event(self, event: codec.Event) -> Step:
        if self._stage is not Stage.INSIDE or event.namespace != self._namespace:
            reason = f"an event before {event.namespace[:50]!r} let you in"
            return HangUp(code=CloseCode.POLICY_VIOLATION, reason=reason)
        return event

    def _connect(self, wish: codec.Connect) -> Step:
        if wish.namespace != self._namespace:
            error = {"message": f"there is no such namespace; connect to {self._namespace}"}
            return Say(packet=codec.refused(wish.namespace, error))
        if self._stage is not Stage.OUTSIDE:
            return HangUp(code=CloseCode.POLICY_VIOLATION, reason="you have asked to come in once")
        self._stage = Stage.ASKING
        return Admit(auth=wish.auth)
