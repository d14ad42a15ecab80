"""The state machine that drives the services: four agents, their people, a clock, any order.

After each step the tables must say what the model says, and keep the laws. At the end of a trace
everybody comes online, and every task must end, or wait for a reason that can be named.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from laws import LAWS, Step
from nexus.domain.errors import NexusError, NotFound
from nexus.domain.principal import Principal, Role
from nexus.gateway.calls import CALLS, Context, carry_out
from nexus.services import (
    agents,
    attempts,
    dispatch,
    events,
    groups,
    idempotency,
    installation,
    projects,
    retention,
    sessions,
    tasks,
    threads,
)
from nexus.services.sessions import SessionRef
from nexus.store import Tx
from oblivion.protocol import (
    ActiveTask,
    AgentReady,
    AgentStatus,
    ClaimTask,
    DispatchPolicy,
    EventAck,
    EventType,
    HeartbeatCall,
    MessageKind,
    PostMessage,
    StatusUpdate,
    TaskStatus,
    TaskUpdate,
    ToolRequest,
    WireModel,
)
from service_world import NODE
from task_model import Model, ModelAgent, ModelTask
from trace_world import SKILLS, Snapshot, TraceWorld

ANY = object()
"""What the model answers where it does not care."""

AGENTS = st.sampled_from(["a", "b", "a", "b", "a", "b", "c", "x"])
TASKS = st.integers(0, 7)
SKILL_SETS = st.sampled_from([[], ["code"], ["code"], ["draw"], ["code", "draw"]])
CALL_IDS = st.sampled_from([None, None, "new", "new", "last"])
ACTIVE = st.sampled_from(["held", "held", "none", "some", "stale", "invented", "others"])
ATTEMPTS = st.sampled_from([0, 0, 0, 0, 0, -1, 1])
TEXTS = st.sampled_from(["hello", "@a look", "@agent-b and @x and @c", "@nexus go on", "@a @b"])
PROJECTS = st.sampled_from(
    ["work", "work", "work", "race", "race", "closing", "fading", "other", "foreign"]
)


class NexusMachine(RuleBasedStateMachine):
    """See the module."""

    def __init__(self, world: TraceWorld) -> None:
        super().__init__()
        self.world = world
        self._trace = world.trace()
        self._trace.__enter__()
        self.model = Model(world.time.now)
        self.order: list[str] = []
        self.refs: dict[str, list[SessionRef]] = {}
        self.calls: dict[str, tuple[EventType, WireModel, str]] = {}
        self.count = 0
        self._know_agents()
        self.seen: Snapshot = world.snapshot()

    def _know_agents(self) -> None:
        profiles = {"a": {"code"}, "b": {"draw"}}
        homes = {"a": ("work", "fading"), "b": ("work", "fading"), "c": ("other",)}
        for name, agent_id in self.world.agents.items():
            places = [self.world.places[slug] for slug in homes.get(name, ("foreign",))]
            self.model.agents[agent_id] = ModelAgent(
                id=agent_id,
                name=name,
                tenant=places[0].tenant_id,
                groups={place.group_id for place in places},
                profile=frozenset(profiles.get(name, ())),
            )
            self.refs[name] = []

    # --- how a step is made and judged

    def step(
        self,
        predict: Callable[[], Any],
        service: Callable[..., Any],
        *args: Any,
        agent: str | None = None,
        person: str | None = None,
    ) -> Any:
        """Let model and service do the same, compare what they answer and what they leave."""
        self.model.now = self.world.time.now
        expected = _outcome(predict)
        answered = _outcome(lambda: self.world.run(service, *args))
        refused = isinstance(expected, type) and issubclass(expected, NexusError)
        if refused or isinstance(answered, type):
            assert answered is expected
        elif expected is not ANY:
            assert answered == expected
        self._judge(agent, person, refused=refused)
        return answered

    def _judge(self, agent: str | None, person: str | None, *, refused: bool) -> None:
        before, after = self.seen, self.world.snapshot(self.seen)
        if refused:
            unchanged = (after.tasks, after.events, after.heads, after.sessions, after.other)
            was = (before.tasks, before.events, before.heads, before.sessions, before.other)
            assert unchanged == was, "a refused command leaves nothing behind"
        people = self.model.agents.values()
        step = Step(
            before=before,
            after=after,
            groups={one.id: one.groups for one in people},
            tenants={one.id: one.tenant for one in people},
            agent=agent,
            person=person,
        )
        for law in LAWS:
            law(step)
        self._compare(after)
        self.seen = after

    def _compare(self, now: Snapshot) -> None:
        assert now.tasks.keys() == self.model.tasks.keys()
        for task in self.model.tasks.values():
            _compare_task(task, now.tasks[task.id])
        for agent in self.model.agents.values():
            _compare_events(agent, now, self.seen.heads[agent.id])
            _compare_session(agent, now)
        assert now.other["call_answers"] == len(self.model.answers)
        assert now.other["idempotency_keys"] == len(self.model.keys)

    def call(
        self,
        name: str,
        type_: EventType,
        payload: WireModel,
        predict: Callable[[], Any],
        **how: Any,
    ) -> Any:
        """Send a call as an agent does: through a session, under an envelope's id."""
        agent_id = self.world.agents[name]
        call_id = how.get("call_id")
        if call_id == "new":
            self.count += 1
            call_id = f"call-{self.count}"
        context = Context(ref=how["ref"], call_id=call_id, limits=self.world.limits)
        kept = self.model.answers.get((agent_id, call_id or ""))
        once = CALLS[type_].kept and call_id is not None
        if once and kept is not None:
            predict = lambda: kept[1]  # noqa: E731
        elif once:
            self.calls[name] = (type_, payload, call_id or "")
            predict = self._keeping(agent_id, call_id or "", predict)
        answer = self.step(predict, carry_out, CALLS[type_], context, payload, agent=agent_id)
        if once and kept is None and not isinstance(answer, type):
            self.model.answers[agent_id, call_id or ""] = (self.model.now, answer)
        return answer

    def _keeping(self, agent_id: str, call_id: str, act: Callable[[], Any]) -> Callable[[], Any]:
        def acting() -> Any:
            answer = act()
            self.model.answers[agent_id, call_id] = (self.model.now, answer)
            return answer

        return acting

    # --- whom and what the rules speak of

    def task(self, number: int) -> ModelTask:
        return self.model.tasks[self.order[number % len(self.order)]]

    def ref(self, name: str, age: int = 0) -> SessionRef:
        """Return the agent's newest session, or an older one; an invented one if there is none."""
        known = self.refs[name]
        if not known:
            return SessionRef(agent_id=self.world.agents[name], session_id="never-was")
        return known[max(len(known) - 1 - age, 0)]

    def person(self, task: ModelTask) -> Principal:
        return self._people()[task.tenant]

    def _people(self) -> dict[str, Principal]:
        return {one.tenant_id: one for one in (self.world.admin, self.world.stranger)}

    def caller(self, name: str) -> Principal:
        agent = self.model.agents[self.world.agents[name]]
        return Principal(tenant_id=agent.tenant, client_id=name, role=Role.AGENT, agent_id=agent.id)

    def active(self, name: str, kind: str) -> list[ActiveTask]:
        """Return what an agent says it works on: the truth, a part of it, or none of it."""
        agent_id = self.world.agents[name]
        held = [(task.id, task.attempt) for task in self.model.held_by(agent_id)]
        found = {
            "held": held,
            "none": [],
            "some": held[:1],
            "stale": [
                (task.id, task.attempt - 1)
                for task in self.model.tasks.values()
                if task.attempt > 1
            ],
            "invented": [*held, ("no-such-task", 1)],
            "others": [(t.id, t.attempt) for t in self.model.tasks.values() if t.attempt > 0],
        }[kind]
        return [ActiveTask(task_id=task_id, attempt=attempt) for task_id, attempt in found]

    # --- rules: agents

    @initialize()
    def begin(self) -> None:
        """Most traces are about agents that are there."""
        for name in ("a", "b"):
            self.connect(name, room=2, skills=["code"])

    def connect(self, name: str, **announced: Any) -> None:
        agent_id = self.world.agents[name]

        def opened(tx: Tx) -> SessionRef:
            ref = sessions.open_session(tx, agent_id, NODE)
            self.refs[name].append(ref)
            self.model.opened(agent_id, ref.session_id)
            return ref

        self.step(lambda: ANY, opened, agent=agent_id)
        self._announce(name, self.ref(name), "none", announced)

    def _announce(self, name: str, ref: SessionRef, kind: str, wish: dict[str, Any]) -> None:
        epoch = wish.get("epoch") and self.world.run(installation.epoch_of)
        ready = AgentReady(
            version="1",
            acks=True,
            active=self.active(name, kind),
            capabilities=wish.get("skills", []),
            max_concurrency=wish.get("room", 1),
            accepts_tasks=wish.get("accepts", True),
            instance_id=wish.get("instance", "process-1"),
            epoch=epoch,
            last_seq=wish.get("last_seq", 0),
        )
        agent_id = self.world.agents[name]
        foreseen: list[Any] = []
        answer = self.call(
            name,
            EventType.AGENT_READY,
            ready,
            lambda: foreseen.append(self.model.agent_ready(agent_id, ref.session_id, ready)) or ANY,
            ref=ref,
        )
        if foreseen:
            assert {name: answer[name] for name in foreseen[0]} == foreseen[0]
            assert answer["resumed"] == bool(wish.get("epoch"))

    @rule(name=AGENTS, room=st.integers(1, 3), skills=SKILL_SETS, active=ACTIVE)
    def reconnect(self, name: str, room: int, skills: list[str], active: str) -> None:
        """The same process comes again and supersedes its session."""
        self.connect(name, room=room, skills=skills)
        self._announce(name, self.ref(name), active, {"room": room, "skills": skills, "epoch": 1})

    @rule(
        name=AGENTS,
        age=st.sampled_from([0, 0, 0, 1]),
        active=ACTIVE,
        instance=st.sampled_from(["process-1", "process-2", "process-3", None]),
        accepts=st.sampled_from([True, True, False]),
        last_seq=st.sampled_from([0, 3, 10**6]),
    )
    def announce(
        self,
        name: str,
        age: int,
        active: str,
        instance: str | None,
        accepts: bool,
        last_seq: int,
    ) -> None:
        """A session, perhaps an ended one, announces itself, perhaps as a new process."""
        wish = {"instance": instance, "accepts": accepts, "last_seq": last_seq, "room": 2}
        self._announce(name, self.ref(name, age), active, wish)

    @rule(name=AGENTS, age=st.sampled_from([0, 0, 0, 1]), active=st.none() | ACTIVE)
    def heartbeat(self, name: str, age: int, active: str | None) -> None:
        ref = self.ref(name, age)
        named = None if active is None else self.active(name, active)
        pairs = None if named is None else [(task.task_id, task.attempt) for task in named]
        self.call(
            name,
            EventType.HEARTBEAT,
            HeartbeatCall(active=named),
            lambda: self.model.heartbeat(ref.agent_id, ref.session_id, pairs) or ANY,
            ref=ref,
        )

    @precondition(lambda self: self.order)
    @rule(name=AGENTS, status=st.sampled_from(AgentStatus), number=st.none() | TASKS)
    def say_status(self, name: str, status: AgentStatus, number: int | None) -> None:
        ref = self.ref(name)
        task_id = None if number is None else self.task(number).id

        def predict() -> Any:
            self.model.require_ready(ref.agent_id, ref.session_id).last_seen = self.model.now
            if status is AgentStatus.WORKING and task_id is not None:
                self.model.start(ref.agent_id, task_id)
            return ANY

        wish = StatusUpdate(status=status, task_id=task_id)
        self.call(name, EventType.STATUS_UPDATE, wish, predict, ref=ref)

    @precondition(lambda self: self.order)
    @rule(name=AGENTS, number=TASKS, call_id=CALL_IDS, age=st.sampled_from([0, 0, 0, 0, 1]))
    def claim(self, name: str, number: int, call_id: str | None, age: int) -> None:
        ref, task_id = self.ref(name, age), self.task(number).id
        foreseen: list[int | None] = []

        def predict() -> Any:
            foreseen.append(self.model.claim(ref.agent_id, ref.session_id, task_id))
            return ANY

        wish = ClaimTask(task_id=task_id)
        answer = self._send(name, EventType.CLAIM_TASK, wish, predict, ref, call_id)
        if foreseen:
            assert answer["success"] == (foreseen[0] is not None)
            assert answer.get("attempt") == foreseen[0]

    @precondition(lambda self: self.order)
    @rule(
        name=st.sampled_from(["holder", "holder", "holder", "holder", "a", "b", "c", "x"]),
        number=TASKS,
        status=st.sampled_from([*TaskStatus, TaskStatus.FAILED, TaskStatus.DONE]),
        off=ATTEMPTS,
        retry=st.sampled_from([None, None, True, False]),
        call_id=CALL_IDS,
        age=st.sampled_from([0, 0, 0, 0, 1]),
    )
    def update(
        self,
        name: str,
        number: int,
        status: TaskStatus,
        off: int,
        retry: bool | None,
        call_id: str | None,
        age: int,
    ) -> None:
        """An agent says something of an attempt: its own, an older one, another's."""
        task = self.task(number)
        name = self._name(task.holder) if name == "holder" else name
        wish = TaskUpdate(
            task_id=task.id, attempt=max(task.attempt + off, 1), status=status, retry=retry
        )
        ref = self.ref(name, age)
        foreseen: list[dict[str, Any]] = []

        def predict() -> Any:
            foreseen.append(self.model.update(ref.agent_id, ref.session_id, wish))
            return ANY

        answer = self._send(name, EventType.TASK_UPDATE, wish, predict, ref, call_id)
        if foreseen:
            assert answer["task"] == foreseen[0]

    def _name(self, agent_id: str | None) -> str:
        return self.model.agents[agent_id].name if agent_id else "a"

    def _send(
        self,
        name: str,
        type_: EventType,
        wish: WireModel,
        predict: Callable[[], Any],
        ref: SessionRef,
        call_id: str | None,
    ) -> Any:
        """Send a call, or the agent's last kept one again in its stead."""
        if call_id == "last" and name in self.calls:
            type_, wish, call_id = self.calls[name]
            if (ref.agent_id, call_id) not in self.model.answers:
                return None  # refused, or its answer was pruned: nothing is promised of it
        elif call_id == "last":
            call_id = "new"
        return self.call(name, type_, wish, predict, ref=ref, call_id=call_id)

    @precondition(lambda self: self.order)
    @rule(number=TASKS, status=st.sampled_from(TaskStatus), name=AGENTS)
    def update_over_http(self, number: int, status: TaskStatus, name: str) -> None:
        """An agent moves a task without naming the attempt: the current one is meant."""
        task, agent_id = self.task(number), self.world.agents[name]
        wish = tasks.SetStatus(status=status)
        update = TaskUpdate(task_id=task.id, attempt=max(task.attempt, 1), status=status)

        def act(tx: Tx) -> None:
            row = tasks.find(tx, self.caller(name), task.id)
            tasks.set_status_as_holder(tx, agent_id, row, wish)

        def predict() -> Any:
            self.model.visible(agent_id, task.id)
            return self.model.update_as_holder(agent_id, update) and ANY

        self.step(predict, act, agent=agent_id)

    @precondition(lambda self: self.order)
    @rule(
        name=AGENTS,
        number=TASKS,
        text=TEXTS,
        kind=st.sampled_from(MessageKind),
        call_id=CALL_IDS,
    )
    def post(
        self, name: str, number: int, text: str, kind: MessageKind, call_id: str | None
    ) -> None:
        ref, task_id = self.ref(name), self.task(number).id

        def predict() -> Any:
            self.model.require_ready(ref.agent_id, ref.session_id)
            task = self.model.visible(ref.agent_id, task_id)
            self.model.post(ref.agent_id, False, task, _mentions(text))
            return ANY

        wish = PostMessage(task_id=task_id, text=text, kind=kind)
        self._send(name, EventType.POST_MESSAGE, wish, predict, ref, call_id)

    @rule(name=AGENTS, call_id=CALL_IDS)
    def request_tool(self, name: str, call_id: str | None) -> None:
        ref = self.ref(name)

        def predict() -> Any:
            self.model.require_ready(ref.agent_id, ref.session_id)
            self.model.tell(ref.agent_id, EventType.TOOL_RESULT, None)
            return {"accepted": True}

        wish = ToolRequest(request_id="r", tool="t", action="a")
        self._send(name, EventType.TOOL_REQUEST, wish, predict, ref, call_id)

    @rule(
        name=AGENTS,
        which=st.sampled_from(["all", "first", "last", "backwards", "twice", "unknown"]),
    )
    def acknowledge(self, name: str, which: str) -> None:
        agent_id = self.world.agents[name]
        pending = self.model.pending(agent_id)
        seqs = {
            "all": pending,
            "first": pending[:1],
            "last": pending[-1:],
            "backwards": pending[::-2],
            "twice": [*pending[:2], *pending[:2]],
            "unknown": [len(self.model.agents[agent_id].events) + 1, 10**9],
        }[which]
        self.call(
            name,
            EventType.EVENT_ACK,
            EventAck(seqs=seqs),
            lambda: self.model.acknowledge(agent_id, seqs) or {"acknowledged": True},
            ref=self.ref(name),
        )

    @rule(name=AGENTS, after=st.integers(0, 5), limit=st.sampled_from([1, 2, 1000]))
    def read_pending(self, name: str, after: int, limit: int) -> None:
        agent_id = self.world.agents[name]
        found = self.world.run(events.pending, agent_id, after=after, limit=limit)
        expected = [seq for seq in self.model.pending(agent_id) if seq > after][:limit]
        assert [event["seq"] for event in found] == expected

    # --- rules: Nexus itself

    @rule()
    def dispatch(self) -> None:
        self.step(self.model.lease_next, dispatch.lease_next, NODE, self.world.limits.lease_ms)

    @rule()
    def offer(self) -> None:
        self.model.now = self.world.time.now
        found = self.world.run(dispatch.offers, NODE)
        offered = {offer.task_id: set(agents) for offer, agents in found if agents}
        assert offered == self.model.offers()

    @rule()
    def reap(self) -> None:
        self.step(self.model.expire, attempts.expire)

    @rule()
    def close_silent(self) -> None:
        closed = lambda tx: sorted(sessions.close_silent(tx, self.world.limits.offline_after_ms))  # noqa: E731
        self.step(self.model.close_silent, closed)

    @rule(name=AGENTS, age=st.sampled_from([0, 0, 1]))
    def close(self, name: str, age: int) -> None:
        ref = self.ref(name, age)
        closed = lambda: self.model.close(ref.agent_id, ref.session_id)  # noqa: E731
        self.step(closed, sessions.close_session, ref, "gone", agent=ref.agent_id)

    @rule()
    def restart(self) -> None:
        lease_ms = self.world.limits.lease_ms
        self.step(self.model.restart, installation.start_alone, lease_ms)

    @rule()
    def prune(self) -> None:
        self.step(lambda: self.model.prune() or ANY, retention.prune)

    @rule(seconds=st.sampled_from([0.001, 1, 5, 31, 61, 121, 150]))
    def time_passes(self, seconds: float) -> None:
        self.world.time.advance(seconds=seconds)

    @rule(hours=st.sampled_from([1, -1, 1, -1, 25, 24 * 8]))
    def the_clock_jumps(self, hours: int) -> None:
        self.world.time.advance(seconds=3600 * hours)

    # --- rules: people

    def _create(self, wish: tasks.CreateTask, place: str) -> Callable[[Tx], Any]:
        owner = self._people()[self.world.places[place].tenant_id]

        def create(tx: Tx) -> Any:
            made = tasks.create(tx, owner, wish)
            self._note(made.id, place, wish)
            return made.id

        return create

    def _note(self, task_id: str, slug: str, wish: tasks.CreateTask) -> None:
        place = self.world.places[slug]
        self.order.append(task_id)
        self.model.tasks[task_id] = ModelTask(
            id=task_id,
            tenant=place.tenant_id,
            group=place.group_id,
            project=place.id,
            policy=place.policy,
            priority=wish.priority,
            needs=frozenset(wish.required_capabilities),
            max_attempts=wish.max_attempts,
            timeout=wish.timeout_seconds,
            created_at=self.world.time.now,
            not_before=self.world.time.now,
        )

    def _refuse_archived(self, slug: str) -> Any:
        if self.world.places[slug].id in self.model.archived:
            raise _conflict()
        return ANY

    @rule(
        place=PROJECTS,
        skills=st.sampled_from([[], [], [], ["code"], ["draw"], ["code", "draw"], ["fly"]]),
        priority=st.integers(1, 4),
        max_attempts=st.integers(1, 3),
        timeout=st.sampled_from([None, None, 30, 3600]),
    )
    def create(
        self, place: str, skills: list[str], priority: int, max_attempts: int, timeout: int | None
    ) -> None:
        wish = tasks.CreateTask(
            project_id=self.world.places[place].id,
            title="A task",
            priority=priority,
            required_capabilities=skills,
            max_attempts=max_attempts,
            timeout_seconds=timeout,
        )
        person = self.world.places[place].tenant_id
        self.step(lambda: self._refuse_archived(place), self._create(wish, place), person=person)

    @rule(key=st.sampled_from(["k1", "k2"]), place=st.sampled_from(["work", "race"]))
    def create_keyed(self, key: str, place: str) -> None:
        """The same key with the same wish makes one task; with another it is refused."""
        wish = tasks.CreateTask(project_id=self.world.places[place].id, title="Keyed")
        request = idempotency.KeyedRequest(client_id="admin", key=key, fingerprint=place)
        known = self.model.keys.get(key)

        def act(tx: Tx) -> Any:
            make = self._create(wish, place)
            answered = idempotency.once(
                tx, request, lambda: idempotency.Answer(status=201, body={"id": make(tx)})
            )
            if known is None:
                self.model.keys[key] = (tx.now, place, answered.body)
            return answered.body

        def predict() -> Any:
            if known is not None and known[1] != place:
                raise idempotency.KeyReused("other body")
            return ANY if known is None else known[2]

        self.step(predict, act, person=self.world.admin.tenant_id)

    @precondition(lambda self: self.order)
    @rule(
        number=TASKS,
        status=st.sampled_from(
            [*TaskStatus, TaskStatus.CANCELLED, TaskStatus.TODO, TaskStatus.TODO]
        ),
    )
    def set_status(self, number: int, status: TaskStatus) -> None:
        task = self.task(number)
        wish = tasks.SetStatus(status=status)
        service = {
            TaskStatus.CANCELLED: lambda tx, by: tasks.cancel(tx, by, task.id, tasks.Reason()),
            TaskStatus.TODO: lambda tx, by: tasks.retry(tx, by, task.id),
        }.get(status, lambda tx, by: tasks.set_status(tx, by, task.id, wish))
        self.step(
            lambda: self.model.set_status(task.id, wish) or ANY,
            service,
            self.person(task),
            person=task.tenant,
        )

    @precondition(lambda self: self.order)
    @rule(
        number=TASKS,
        priority=st.integers(1, 4),
        max_attempts=st.integers(1, 3),
        skills=SKILL_SETS,
        timeout=st.sampled_from([None, 30]),
    )
    def edit(
        self, number: int, priority: int, max_attempts: int, skills: list[str], timeout: int | None
    ) -> None:
        task = self.task(number)
        wish = tasks.EditTask(
            priority=priority,
            max_attempts=max_attempts,
            required_capabilities=skills,
            timeout_seconds=timeout,
        )

        def predict() -> Any:
            if task.final:
                raise _conflict()
            task.priority, task.max_attempts = priority, max_attempts
            task.needs, task.timeout = frozenset(skills), timeout
            return ANY

        self.step(predict, tasks.edit, self.person(task), task.id, wish, person=task.tenant)

    @precondition(lambda self: self.order)
    @rule(number=TASKS, text=TEXTS)
    def say(self, number: int, text: str) -> None:
        task = self.task(number)

        def predict() -> Any:
            self.model.post("a person", True, task, _mentions(text))
            return ANY

        wish = threads.Say(text=text)
        self.step(predict, threads.say, self.person(task), task.id, wish, person=task.tenant)

    @rule(name=AGENTS, skills=SKILL_SETS)
    def edit_agent(self, name: str, skills: list[str]) -> None:
        agent = self.model.agents[self.world.agents[name]]

        def predict() -> Any:
            agent.profile = frozenset(skills)
            return ANY

        wish = agents.EditAgent(capabilities=skills)
        owner = self._people()[agent.tenant]
        self.step(predict, agents.edit, owner, agent.id, wish, person=agent.tenant)

    @rule(name=AGENTS)
    def wake(self, name: str) -> None:
        agent = self.model.agents[self.world.agents[name]]
        owner = self._people()[agent.tenant]
        told = lambda: self.model.tell(agent.id, EventType.WAKE_UP, None)  # noqa: E731
        self.step(told, agents.wake, owner, agent.id, agents.Wake(), person=agent.tenant)

    @rule(name=st.sampled_from(["a", "b"]))
    def join_or_leave(self, name: str) -> None:
        """An agent leaves a group, or joins it again; what it holds there it may finish."""
        agent = self.model.agents[self.world.agents[name]]
        group = self.world.places["fading"].group_id
        if group in agent.groups:
            leave = lambda: agent.groups.remove(group)  # noqa: E731
            self.step(leave, groups.remove_member, self.world.admin, group, name)
        else:
            wish = groups.AddMember(agent_id=name)
            join = lambda: agent.groups.add(group) or ANY  # noqa: E731
            self.step(join, groups.add_member, self.world.admin, group, wish)

    @rule(what=st.sampled_from(["project", "group"]))
    def archive(self, what: str) -> None:
        place = self.world.places["closing" if what == "project" else "fading"]
        service = projects.archive if what == "project" else groups.archive
        named = place.id if what == "project" else place.group_id
        archived = lambda: self.model.archived.add(named)  # noqa: E731
        self.step(archived, service, self.world.admin, named, person=place.tenant_id)

    # --- rules: what must not be

    @precondition(lambda self: self.order)
    @rule(number=TASKS, name=AGENTS)
    def fail_halfway(self, number: int, name: str) -> None:
        """A command that breaks after much was done leaves nothing of it: no number, no lease."""
        agent_id = self.world.agents[name]

        def breaks(tx: Tx) -> None:
            dispatch.lease_next(tx, NODE, self.world.limits.lease_ms)
            agents.wake(tx, self._people()[self.model.agents[agent_id].tenant], name, agents.Wake())
            attempts.expire(tx)
            raise NotFound("broken on purpose")

        def predict() -> Any:
            raise NotFound("broken on purpose")

        self.step(predict, breaks)

    @precondition(lambda self: self.order)
    @rule(number=TASKS, name=AGENTS)
    def look(self, number: int, name: str) -> None:
        """Each sees what is its own, and nobody else's."""
        task, agent_id = self.task(number), self.world.agents[name]
        for person in self._people().values():
            found = _outcome(lambda p=person: self.world.run(tasks.show, p, task.id))
            assert (found is NotFound) == (person.tenant_id != task.tenant)
            listed = self.world.run(tasks.search, person.tenant_id, tasks.TaskFilter(limit=200))
            mine = {one.id for one in self.model.tasks.values() if one.tenant == person.tenant_id}
            assert {row["id"] for row in listed} == mine
        found = _outcome(lambda: self.world.run(tasks.show, self.caller(name), task.id))
        assert (found is NotFound) == (task.group not in self.model.agents[agent_id].groups)
        held = {one.id for one in self.model.held_by(agent_id)}
        assert {one.task_id for one in self.world.run(tasks.claimed, agent_id)} == held
        self._look_at_available(agent_id)

    def _look_at_available(self, agent_id: str) -> None:
        self.model.now = self.world.time.now
        agent = self.model.agents[agent_id]
        expected = [
            task.id
            for policy in DispatchPolicy
            for task in self.model.waiting(policy)
            if task.group in agent.groups and task.needs <= agent.skills
        ]
        found = [one.task_id for one in self.world.run(tasks.available, agent_id)]
        assert found == sorted(expected, key=lambda task_id: self.model.tasks[task_id].place)

    @precondition(lambda self: self.order)
    @rule(number=TASKS, attempt=st.sampled_from(["cancel", "edit", "say", "wake", "post"]))
    def meddle(self, number: int, attempt: str) -> None:
        """A person of the other tenant, or an agent of another group, finds nothing there."""
        task = self.task(number)
        outsider = next(one for key, one in self._people().items() if key != task.tenant)
        stranger = next(a for a in self.model.agents.values() if task.group not in a.groups)
        edit = tasks.EditTask(priority=1)
        acts: dict[str, Callable[[Tx], Any]] = {
            "cancel": lambda tx: tasks.cancel(tx, outsider, task.id, tasks.Reason()),
            "edit": lambda tx: tasks.edit(tx, outsider, task.id, edit),
            "say": lambda tx: threads.say(tx, outsider, task.id, threads.Say(text="hi")),
            "wake": lambda tx: agents.wake(
                tx,
                self.person(task),
                stranger.id if stranger.tenant != task.tenant else "nobody",
                agents.Wake(task_id=task.id),
            ),
            "post": lambda tx: threads.post_as_agent(
                tx, stranger.id, PostMessage(task_id=task.id, text="hi")
            ),
        }

        def predict() -> Any:
            raise NotFound(task.id)

        self.step(predict, acts[attempt])

    # --- the end of a trace

    def teardown(self) -> None:
        """Have everybody come online; every task ends, or waits for what can be named."""
        try:
            self.come_to_rest()
        finally:
            self._trace.__exit__(None, None, None)

    def come_to_rest(self) -> None:
        later = [task.not_before for task in self.model.tasks.values()]
        later += [task.lease for task in self.model.tasks.values() if task.lease is not None]
        self.world.time.now = max([self.world.time.now, *later]) + 1
        refs = {name: self._come_online(name) for name in self.world.agents}
        for _ in range(8):
            self._work_a_round(refs)
            if not self._unfinished():
                break
            self.world.time.advance(seconds=121)
        unfinished = self._unfinished()
        assert not unfinished, f"tasks that never end: {unfinished}"
        self._check_history()

    def _come_online(self, name: str) -> SessionRef:
        ref = self.world.run(sessions.open_session, self.world.agents[name], NODE)
        ready = AgentReady(
            acks=True, max_concurrency=100, capabilities=["code", "draw"], instance_id="last"
        )
        context = Context(ref=ref, call_id=None, limits=self.world.limits)
        self.world.run(carry_out, CALLS[EventType.AGENT_READY], context, ready)
        return ref

    def _work_a_round(self, refs: dict[str, SessionRef]) -> None:
        self.world.run(attempts.expire)
        self.world.run(dispatch.lease_next, NODE, self.world.limits.lease_ms)
        for offer, takers in self.world.run(dispatch.offers, NODE):
            for ref in refs.values():
                if ref.agent_id in takers:
                    self._finally(ref, ClaimTask(task_id=offer.task_id))
        for ref in refs.values():
            self._do_what_is_told(ref)

    def _do_what_is_told(self, ref: SessionRef) -> None:
        """Complete what the events say, and nothing else: an agent knows no more than them."""
        pending = self.world.run(events.pending, ref.agent_id, after=0, limit=1000)
        for event in pending:
            if event["type"] == EventType.TASK_ASSIGNED:
                self._finally(
                    ref,
                    TaskUpdate(
                        task_id=event["task_id"],
                        attempt=event["payload"]["attempt"],
                        status=TaskStatus.DONE,
                    ),
                )
        self.world.run(events.acknowledge, ref.agent_id, [event["seq"] for event in pending])

    def _finally(self, ref: SessionRef, wish: ClaimTask | TaskUpdate) -> None:
        type_ = EventType.CLAIM_TASK if isinstance(wish, ClaimTask) else EventType.TASK_UPDATE
        context = Context(ref=ref, call_id=None, limits=self.world.limits)
        _outcome(lambda: self.world.run(carry_out, CALLS[type_], context, wish))

    def _unfinished(self) -> dict[str, str]:
        rows = self.world.snapshot(self.seen).tasks
        assert rows.keys() == self.model.tasks.keys()
        open_ = {row["id"]: row["status"] for row in rows.values() if row["finished_at"] is None}
        return {
            task_id: status
            for task_id, status in open_.items()
            if not self._waits_visibly(self.model.tasks[task_id], status)
        }

    def _waits_visibly(self, task: ModelTask, status: str) -> bool:
        able = any(
            task.group in agent.groups and task.needs <= agent.profile | {"code", "draw"}
            for agent in self.model.agents.values()
        )
        return status == TaskStatus.TODO and not (able and self.model.is_open(task))

    def _check_history(self) -> None:
        """D, once more over all: each attempt was assigned once, and the numbers are whole."""
        last = self.world.snapshot(self.seen)
        for agent_id, told in last.events.items():
            seqs = [event["seq"] for event in told]
            gone = sum(event.pruned for event in self.model.agents[agent_id].events)
            assert len(seqs) + gone == last.heads[agent_id]
            assert not seqs or seqs[-1] <= last.heads[agent_id]
        assigned = [
            (event["task_id"], event["payload"]["attempt"])
            for told in last.events.values()
            for event in told
            if event["type"] == EventType.TASK_ASSIGNED
        ]
        assert max(Counter(assigned).values(), default=1) == 1


def _outcome(act: Callable[[], Any]) -> Any:
    """Return what ``act`` returns, or the kind of its refusal."""
    try:
        return act()
    except NexusError as refusal:
        return type(refusal)


def _conflict() -> NexusError:
    from nexus.domain.errors import Conflict

    return Conflict("archived or ended")


def _mentions(text: str) -> Sequence[str]:
    return [
        name for name in ("a", "b", "c", "x", "nexus") if f"@{name}" in text.replace("agent-", "")
    ]


def _compare_task(task: ModelTask, row: Any) -> None:
    assert task.not_before <= row["not_before"] <= task.not_before + task.slack
    task.not_before, task.slack = row["not_before"], 0
    expected = {
        "status": task.status,
        "holder_agent_id": task.holder,
        "attempt": task.attempt,
        "attempts_used": task.used,
        "max_attempts": task.max_attempts,
        "claimed_at": task.claimed_at,
        "lease_expires_at": task.lease,
        "deadline_at": task.deadline,
        "finished_at": task.finished_at,
        "priority": task.priority,
        "timeout_seconds": task.timeout,
        "required_capabilities": sorted(task.needs),
    }
    assert {name: row[name] for name in expected} == expected


def _compare_events(agent: ModelAgent, now: Snapshot, before: int) -> None:
    assert now.heads[agent.id] == len(agent.events), "an event for each reason, and no other"
    stored = {event["seq"]: event for event in now.events[agent.id]}
    fresh = [_told(stored[seq]) for seq in stored if seq > before]
    foreseen = [(e.type, e.task, e.attempt) for e in agent.events[before:]]
    assert Counter(fresh) == Counter(foreseen)
    for seq, told in enumerate(fresh, start=before):
        agent.events[seq].type, agent.events[seq].task, agent.events[seq].attempt = told
    for seq, event in enumerate(agent.events, start=1):
        assert (seq in stored) != event.pruned
        assert event.pruned or stored[seq]["acked_at"] == event.acked_at


def _told(event: Any) -> tuple[EventType, str | None, int | None]:
    return EventType(event["type"]), event["task_id"], event["payload"].get("attempt")


def _compare_session(agent: ModelAgent, now: Snapshot) -> None:
    session, row = agent.session, now.sessions.get(agent.id)
    if session is None or row is None:
        assert session is row
        return
    expected = {
        "id": session.id,
        "connected_at": session.connected_at,
        "last_seen_at": session.last_seen,
        "idle_since": session.idle_since,
        "ready": session.ready,
        "max_concurrency": session.room,
        "instance_id": session.instance,
    }
    assert {name: row[name] for name in expected} == expected
    assert (row["closed_at"] is None) == session.open


__all__ = ["SKILLS", "NexusMachine"]
