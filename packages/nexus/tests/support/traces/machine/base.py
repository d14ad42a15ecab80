"""Where a step is made and judged: model and services do the same, and must agree."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine

from nexus.domain.errors import NexusError
from nexus.domain.principal import Principal, Role
from nexus.gateway.calls import CALLS, Context, carry_out
from nexus.services import dispatch, leases
from nexus.services.sessions import SessionRef
from oblivion.protocol import ActiveTask, EventType, TaskStatus, WireModel
from service_world import NODE
from traces.comparison import agrees, compare
from traces.laws import LAWS, Step
from traces.model import leases as model_leases
from traces.model.state import Model, ModelAgent, ModelTask
from traces.snapshot import Snapshot
from traces.world import Member, TraceWorld

Predict = Callable[[], Any]


@dataclass(frozen=True, kw_only=True)
class Voice:
    """How an agent speaks: through a session of this age, under an envelope's id or none.

    ``call_id`` is ``new``, or ``last`` to send its last kept call again instead.
    """

    name: str
    age: int = 0
    call_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A call as it was sent."""

    type: EventType
    payload: WireModel
    call_id: str | None


class Machine(RuleBasedStateMachine):
    """A trace under way: the world, its model, and what was seen last.

    ``prompt`` says whether leasing follows at once whatever makes it possible, as on a node;
    ``pace_ms`` is how long a step takes.
    """

    def __init__(self, world: TraceWorld) -> None:
        super().__init__()
        self.world = world
        self._trace = ExitStack()
        self._trace.enter_context(world.trace())
        policies = {place.id: place.policy for place in world.places.values()}
        self.model = Model(now=world.time.now, policies=policies)
        self.order: list[str] = []
        self.ids: dict[str, str] = {}
        self.refs: dict[str, list[SessionRef]] = {}
        self._last: dict[str, Sent] = {}
        self._counts: Counter[str] = Counter()
        self.prompt = False
        self.pace_ms = 0
        for member in world.members:
            self.know(member)
        self.seen: Snapshot = world.snapshot()

    def know(self, member: Member) -> None:
        """Have the model know an agent that is there."""
        self.ids[member.name], self.refs[member.name] = member.id, []
        self.model.agents[member.id] = ModelAgent(
            id=member.id,
            name=member.name,
            tenant=member.tenant_id,
            groups=set(member.group_ids),
            profile=member.profile,
        )

    def teardown(self) -> None:
        """Forget the trace."""
        self._trace.close()

    # --- how a step is made and judged

    def step(
        self,
        predict: Predict,
        service: Callable[..., Any],
        *args: Any,
        by: str | None = None,
        learn: Callable[[Any], None] | None = None,
    ) -> Any:
        """Let model and service do the same, compare what they answer and what they leave.

        ``by`` is the agent that speaks or the tenant whose person acts; ``learn`` is told the
        answer before the tables are compared, for what the model cannot foresee, such as ids.
        """
        self.world.time.now += self.pace_ms
        self.model.now = self.world.time.now
        possible = model_leases.possible(self.model)
        expected = outcome(predict)
        answered = outcome(lambda: self.world.run(service, *args))
        if is_refusal(expected) or is_refusal(answered):
            assert answered is expected, "both refuse for the same reason, or neither does"
        else:
            assert agrees(expected, answered), f"answered {answered}, expected {expected}"
            if learn is not None:
                learn(answered)
        self._judge(by, possible, refused=is_refusal(answered))
        if self.prompt and not is_refusal(answered) and leases.DISPATCH in self.world.woken:
            self.lease_next(NODE)
        return answered

    def lease_next(self, node: str) -> None:
        """Hand out what waits to the agents of a node."""
        prompt, self.prompt = self.prompt, False  # it follows from others, not from itself
        self.step(
            lambda: model_leases.lease_next(self.model, node),
            dispatch.lease_next,
            node,
            self.world.limits.lease_ms,
        )
        self.prompt = prompt

    def _judge(self, by: str | None, possible: set[tuple[str, str]], *, refused: bool) -> None:
        before, after = self.seen, self.world.snapshot(self.seen)
        assert not refused or after.says_the_same_as(before), "a refused command leaves nothing"
        people = self.model.agents.values()
        step = Step(
            before=before,
            after=after,
            groups={one.id: one.groups for one in people},
            tenants={one.id: one.tenant for one in people},
            agent=by if by in self.model.agents else None,
            person=None if by in self.model.agents else by,
            woken=frozenset() if refused else frozenset(self.world.woken),
            newly_possible=model_leases.possible(self.model) - possible,
        )
        for law in LAWS:
            law(step)
        compare(self.model, before, after)
        self.seen = after

    def call(self, voice: Voice, type_: EventType, payload: WireModel, predict: Predict) -> Any:
        """Send a call as an agent does: through a session, under an envelope's id."""
        ref = self.ref(voice.name, voice.age)
        sent = self._envelope(voice, type_, payload)
        name = ref.agent_id, sent.call_id or ""
        kept = self.model.answers.get(name)

        def learn(answer: Any) -> None:
            if sent.call_id is not None and kept is None and CALLS[sent.type].kept:
                self.model.answers[name] = (self.model.now, answer)
                self._last[voice.name] = sent

        return self.step(
            predict if kept is None else lambda: kept[1],
            carry_out,
            CALLS[sent.type],
            Context(ref=ref, call_id=sent.call_id, limits=self.world.limits),
            sent.payload,
            by=ref.agent_id,
            learn=learn,
        )

    def _envelope(self, voice: Voice, type_: EventType, payload: WireModel) -> Sent:
        """Return what is sent: the call, or the last one again while its answer is kept."""
        if voice.call_id is None:
            return Sent(type=type_, payload=payload, call_id=None)
        last = self._last.get(voice.name)
        known = last is not None and (self.ids[voice.name], last.call_id) in self.model.answers
        if voice.call_id == "last" and last is not None and known:
            return last
        self._counts[voice.name] += 1  # each agent's own, so that two use the same
        return Sent(type=type_, payload=payload, call_id=f"call-{self._counts[voice.name]}")

    # --- whom and what the rules speak of

    def task(self, number: int) -> ModelTask:
        """Return a task of the trace; the numbers go round."""
        return self.model.tasks[self.order[number % len(self.order)]]

    def waiting(self, number: int) -> ModelTask:
        """Return a task that waits, now and then any."""
        waiting = [t for t in self.model.tasks.values() if t.status is TaskStatus.TODO]
        return waiting[number % len(waiting)] if waiting and number else self.task(number)

    def somebody_works(self) -> bool:
        """Say whether any task is held."""
        return any(task.held for task in self.model.tasks.values())

    def held(self, number: int) -> ModelTask:
        """Return a task that somebody holds; the numbers go round."""
        held = [task for task in self.model.tasks.values() if task.held]
        return held[number % len(held)]

    def ref(self, name: str, age: int = 0) -> SessionRef:
        """Return the agent's newest session, or an older one; an invented one if there is none."""
        known = self.refs[name]
        if not known:
            return SessionRef(agent_id=self.ids[name], session_id="never-was")
        return known[max(len(known) - 1 - age, 0)]

    def people(self) -> dict[str, Principal]:
        """Return the admin of each tenant."""
        return {one.tenant_id: one for one in (self.world.admin, self.world.stranger)}

    def person(self, task: ModelTask) -> Principal:
        """Return the admin whose task it is."""
        return self.people()[task.tenant]

    def caller(self, name: str) -> Principal:
        """Return an agent as it calls over HTTP."""
        agent = self.model.agents[self.ids[name]]
        return Principal(tenant_id=agent.tenant, client_id=name, role=Role.AGENT, agent_id=agent.id)

    def active(self, name: str, kind: str) -> list[ActiveTask]:
        """Return what an agent says it works on: the truth, a part of it, or none of it."""
        tasks = list(self.model.tasks.values())
        held = [(task.id, task.attempt) for task in self.model.held_by(self.ids[name])]
        found = {
            "held": held,
            "none": [],
            "some": held[:1],
            "stale": [(task.id, task.attempt - 1) for task in tasks if task.attempt > 1],
            "invented": [*held, ("no-such-task", 1)],
            "others": [(task.id, task.attempt) for task in tasks if task.attempt > 0],
        }[kind]
        return [ActiveTask(task_id=task_id, attempt=attempt) for task_id, attempt in found]


def outcome(act: Callable[[], Any]) -> Any:
    """Return what ``act`` returns, or the kind of its refusal."""
    try:
        return act()
    except NexusError as refusal:
        return type(refusal)


def is_refusal(found: Any) -> bool:
    """Say whether an outcome is a refusal."""
    return isinstance(found, type) and issubclass(found, NexusError)
