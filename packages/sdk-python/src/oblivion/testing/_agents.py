"""Where a fake Nexus keeps its agents: who they are, their one session, their numbered events."""

import secrets
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from oblivion._clock import Clock
from oblivion.protocol import AgentReady, ErrorCode, EventType, GapPayload, WireModel, wrap
from oblivion.testing._refusal import Refusal

WINDOW = 64
"""How many durable events are sent ahead of their acknowledgements."""


class Line(Protocol):
    """One live connection, seen from Nexus."""

    def send(self, type_: str, data: dict[str, Any]) -> None:
        """Send an event, after those that were sent before."""

    def hang_up(self) -> None:
        """Close, after what was sent."""


@dataclass(slots=True, kw_only=True, eq=False)
class Event:
    """One durable event; ``is_over`` says that the attempt it announces has ended."""

    seq: int
    type: EventType
    payload: WireModel
    at: datetime
    traceparent: str | None
    is_over: Callable[[], bool]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    acked: bool = False

    def envelope(self) -> dict[str, Any]:
        """Return what is sent now."""
        said = wrap(
            self.type,
            self.payload,
            self.at,
            id_=self.id,
            seq=self.seq,
            withdrawn=self.is_over(),
        )
        return said if self.traceparent is None else {**said, "traceparent": self.traceparent}


@dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """One connection of an agent, from the greeting to its end."""

    id: str
    line: Line
    opened_at: float
    ready: AgentReady | None = None
    sent: int = 0
    under_way: set[int] = field(default_factory=set[int])
    offered: set[str] = field(default_factory=set[str])


@dataclass(slots=True, kw_only=True, eq=False)
class Agent:
    """An identity, and what it was told."""

    id: str
    client_id: str
    secret: str = field(repr=False)
    capabilities: frozenset[str] = frozenset()
    session: Session | None = None
    instance_id: str | None = None
    idle_since: float = 0.0
    events: list[Event] = field(default_factory=list[Event])
    answers: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def name(self) -> str:
        """Its name for people."""
        return self.client_id.replace("-", " ").title()

    @property
    def ready(self) -> AgentReady | None:
        """What it announced on its present connection."""
        return None if self.session is None else self.session.ready

    @property
    def head(self) -> int:
        """The number of its newest event."""
        return len(self.events)

    def can(self, required: Iterable[str]) -> bool:
        """Whether it has every capability, by its profile or by its announcement."""
        announced = () if self.ready is None else self.ready.capabilities
        return set(required) <= self.capabilities.union(announced)

    def pending(self) -> list[Event]:
        """Return the events that it has not acknowledged, in order."""
        return [event for event in self.events if not event.acked]


class Agents:
    """All agents, and the post that reaches them."""

    def __init__(self, clock: Clock, note: Callable[[], None]) -> None:
        self.epoch = str(uuid.uuid4())
        self._clock = clock
        self._note = note
        self._agents: dict[str, Agent] = {}

    def __iter__(self) -> Iterator[Agent]:
        return iter(list(self._agents.values()))

    def get(self, client_id: str) -> Agent | None:
        """Return the agent of this client id."""
        return self._agents.get(client_id)

    def by_id(self, agent_id: str | None) -> Agent | None:
        """Return the agent of this id."""
        return next((agent for agent in self if agent.id == agent_id), None)

    def hire(self, client_id: str, capabilities: Iterable[str] = ()) -> Agent:
        """Return the agent of this client id; one that is not there yet is made."""
        known = self._agents.get(client_id)
        if known is None:
            known = self._agents[client_id] = Agent(
                id=f"agent-{len(self._agents) + 1}",
                client_id=client_id,
                secret=secrets.token_urlsafe(16),
                capabilities=frozenset(capabilities),
            )
        return known

    def open(self, agent: Agent, line: Line) -> Session:
        """Make a connection the agent's only one; an older one is told that it is superseded."""
        older = agent.session
        session = Session(id=str(uuid.uuid4()), line=line, opened_at=self._clock.monotonic())
        agent.session = session
        if older is not None:
            said = wrap(EventType.SUPERSEDED, {"sessionId": session.id}, self._clock.now())
            older.line.send(EventType.SUPERSEDED, said)
            older.line.hang_up()
        return session

    def close(self, agent: Agent, session: Session) -> None:
        """Note that a connection is gone."""
        if agent.session is session:
            agent.session = None
        self._note()

    def require_ready(self, agent: Agent, session: Session) -> AgentReady:
        """Return what the session announced.

        Raises:
            Refusal: it has not, or a newer one took its place.
        """
        if agent.session is not session:
            raise Refusal(ErrorCode.NOT_READY, "this session has ended; connect again")
        if session.ready is None:
            raise Refusal(ErrorCode.NOT_READY, "send agent_ready first")
        return session.ready

    def begin(self, agent: Agent, session: Session, ready: AgentReady) -> None:
        """Take an announcement; the first of a connection starts the sending."""
        first = session.ready is None
        session.ready = ready
        agent.instance_id = ready.instance_id
        if not first:
            return
        pending = agent.pending()
        session.sent = agent.head if not pending else pending[0].seq - 1
        if ready.last_seq > agent.head or ready.epoch not in {None, self.epoch}:
            gap = GapPayload(epoch=self.epoch, from_seq=1, to_seq=session.sent)
            self.hint(agent, EventType.GAP, gap)

    def tell(
        self,
        agent: Agent,
        type_: EventType,
        payload: WireModel,
        traceparent: str | None = None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> Event:
        """Store a durable event, and send it when it is its turn."""
        event = Event(
            seq=agent.head + 1,
            type=type_,
            payload=payload,
            at=self._clock.now(),
            traceparent=traceparent,
            is_over=is_over,
        )
        agent.events.append(event)
        self.pump(agent)
        self._note()
        return event

    def hint(self, agent: Agent, type_: EventType, payload: WireModel) -> None:
        """Send something that is not stored."""
        if agent.session is not None:
            agent.session.line.send(type_, wrap(type_, payload, self._clock.now()))

    def pump(self, agent: Agent) -> None:
        """Send what comes next, as far as the window goes."""
        session = agent.session
        if session is None or session.ready is None:
            return
        for event in agent.events[session.sent :]:
            if len(session.under_way) >= WINDOW:
                return
            session.sent = event.seq
            if event.acked:
                continue
            session.line.send(event.type, event.envelope())
            if session.ready.acks:
                session.under_way.add(event.seq)
            else:
                event.acked = True

    def acknowledge(self, agent: Agent, seqs: Sequence[int]) -> None:
        """Note what the agent has handled; numbers it was never given are passed over."""
        for seq in seqs:
            if seq <= agent.head:
                agent.events[seq - 1].acked = True
        if agent.session is not None:
            agent.session.under_way.difference_update(seqs)
        self.pump(agent)
        self._note()
