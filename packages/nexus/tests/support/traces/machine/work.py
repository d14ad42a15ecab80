"""Where agents work: they claim, report, speak, ask for tools and acknowledge."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from nexus.domain.errors import NotFound
from nexus.services import events, leases, sessions, tasks, threads
from nexus.store import Tx
from oblivion.protocol import (
    ClaimTask,
    EventAck,
    EventType,
    MessageKind,
    PostMessage,
    TaskStatus,
    TaskUpdate,
    Think,
    Thought,
    ToolAnswer,
    ToolRequest,
)
from traces.machine.base import Voice
from traces.machine.choices import (
    AGENTS,
    ATTEMPTS,
    MOVES,
    SPEAKERS,
    TASKS,
    TEXTS,
    USUAL_MOVES,
    mentions,
)
from traces.machine.sessions import SessionRules
from traces.model import attempts as model_attempts
from traces.model import events as model_events
from traces.model import leases as model_leases
from traces.model import people as model_people
from traces.model import sessions as model_sessions

KINDS = [kind for kind in MessageKind if kind is not MessageKind.PROGRESS]


class WorkRules(SessionRules):
    """What an agent says of tasks."""

    @precondition(lambda self: self.order)
    @rule(voice=SPEAKERS, number=TASKS)
    def claim(self, voice: Voice, number: int) -> None:
        ref, task_id = self.ref(voice.name, voice.age), self.waiting(number).id
        self.call(
            voice,
            EventType.CLAIM_TASK,
            ClaimTask(task_id=task_id),
            lambda: model_leases.claim(self.model, ref.agent_id, ref.session_id, task_id),
        )

    @precondition(lambda self: self.order)
    @rule(name=AGENTS, number=TASKS)
    def claim_over_http(self, name: str, number: int) -> None:
        """Whoever has no session has no limit either; its lease runs out unless it is quick."""
        agent_id, task_id = self.ids[name], self.waiting(number).id
        session = self.model.agents[agent_id].session
        room = session.room if session is not None and session.open else None

        def act(tx: Tx) -> int | None:
            lease_ms = self.world.limits.lease_ms
            own_id = tasks.find(tx, self.caller(name), task_id)["id"]
            slots = sessions.slots(tx, agent_id)
            won = leases.claim(tx, agent_id, own_id, max_concurrency=slots, lease_ms=lease_ms)
            return won.attempt

        predict = lambda: model_leases.claim_anyhow(self.model, agent_id, task_id, room)  # noqa: E731
        self.step(predict, act, by=agent_id)

    @precondition(lambda self: self.somebody_works())
    @rule(
        number=TASKS,
        status=USUAL_MOVES,
        retry=st.sampled_from([None, None, None, False]),
        share=st.sampled_from([None, 0.25, 0.5]),
    )
    def work_on(
        self, number: int, status: TaskStatus, retry: bool | None, share: float | None
    ) -> None:
        """The holder of a task does as it should, and comes back for it if it was away."""
        task = self.held(number)
        name = self.model.agents[task.holder or ""].name
        session = self.model.agents[self.ids[name]].session
        if session is None or not session.ready:
            self.arrive(name, active="held")
        wish = TaskUpdate(
            task_id=task.id, attempt=task.attempt, status=status, retry=retry, progress=share
        )
        self._report(Voice(name=name, call_id="new"), wish)

    @precondition(lambda self: self.order)
    @rule(voice=SPEAKERS, number=TASKS, status=MOVES, off=ATTEMPTS)
    def speak_of(self, voice: Voice, number: int, status: TaskStatus, off: int) -> None:
        """An agent says something of an attempt: its own, an older one, another's."""
        task = self.task(number)
        wish = TaskUpdate(task_id=task.id, attempt=max(task.attempt + off, 1), status=status)
        self._report(voice, wish)

    def _report(self, voice: Voice, wish: TaskUpdate) -> None:
        ref = self.ref(voice.name, voice.age)
        self.call(
            voice,
            EventType.TASK_UPDATE,
            wish,
            lambda: model_attempts.update(self.model, ref.agent_id, ref.session_id, wish),
        )

    @precondition(lambda self: self.order)
    @rule(number=TASKS, status=st.sampled_from(TaskStatus), name=AGENTS)
    def update_over_http(self, number: int, status: TaskStatus, name: str) -> None:
        """An agent moves a task without naming the attempt: the current one is meant."""
        task, agent_id = self.task(number), self.ids[name]
        update = TaskUpdate(task_id=task.id, attempt=max(task.attempt, 1), status=status)

        def act(tx: Tx) -> None:
            row = tasks.find(tx, self.caller(name), task.id)
            tasks.set_status_as_holder(tx, agent_id, row, tasks.SetStatus(status=status))

        def predict() -> None:
            self.model.visible(agent_id, task.id)
            model_attempts.update_as_holder(self.model, agent_id, update)

        self.step(predict, act, by=agent_id)

    @precondition(lambda self: self.order)
    @rule(voice=SPEAKERS, number=TASKS, text=TEXTS, kind=st.sampled_from(KINDS))
    def post(self, voice: Voice, number: int, text: str, kind: MessageKind) -> None:
        ref, task_id = self.ref(voice.name, voice.age), self.task(number).id

        def predict() -> None:
            model_sessions.require_ready(self.model, ref.agent_id, ref.session_id)
            task = self.model.visible(ref.agent_id, task_id)
            model_people.post(self.model, ref.agent_id, task, mentions(text))

        wish = PostMessage(task_id=task_id, text=text, kind=kind)
        self.call(voice, EventType.POST_MESSAGE, wish, predict)

    @precondition(lambda self: self.order)
    @rule(voice=SPEAKERS, number=TASKS)
    def think(self, voice: Voice, number: int) -> None:
        """What an agent thinks moves nothing, and is told to nobody."""
        ref, task_id = self.ref(voice.name, voice.age), self.task(number).id

        def predict() -> dict[str, bool]:
            model_sessions.require_ready(self.model, ref.agent_id, ref.session_id)
            self.model.visible(ref.agent_id, task_id)
            return {"acknowledged": True}

        wish = Think(task_id=task_id, thoughts=[Thought(text="hm, @a")])
        self.call(voice, EventType.THINK, wish, predict)

    @precondition(lambda self: self.order)
    @rule(name=AGENTS, number=TASKS, text=TEXTS)
    def reply_over_http(self, name: str, number: int, text: str) -> None:
        agent_id, task_id = self.ids[name], self.task(number).id

        def predict() -> None:
            task = self.model.visible(agent_id, task_id)
            model_people.post(self.model, agent_id, task, mentions(text))

        wish = threads.Reply(message=text)
        self.step(predict, threads.reply, self.caller(name), task_id, wish, by=agent_id)

    @rule(voice=SPEAKERS)
    def request_tool(self, voice: Voice) -> None:
        ref = self.ref(voice.name, voice.age)

        def predict() -> dict[str, bool]:
            """It is stored; what comes of it, the gateway's own machine says."""
            model_sessions.require_ready(self.model, ref.agent_id, ref.session_id)
            return {"accepted": True}

        wish = ToolRequest(request_id="r", tool="t", action="a")
        self.call(voice, EventType.TOOL_REQUEST, wish, predict)

    @rule(voice=SPEAKERS)
    def answer_tool(self, voice: Voice) -> None:
        """An agent answers what nobody asked of it."""
        ref = self.ref(voice.name, voice.age)

        def predict() -> None:
            model_sessions.require_ready(self.model, ref.agent_id, ref.session_id)
            raise NotFound("nobody asked")

        said = ToolAnswer(call_id="none", success=True)
        self.call(voice, EventType.TOOL_ANSWER, said, predict)

    @rule(
        name=AGENTS,
        which=st.sampled_from(["all", "first", "last", "backwards", "twice", "again", "unknown"]),
    )
    def acknowledge(self, name: str, which: str) -> None:
        agent_id = self.ids[name]
        pending = model_events.pending(self.model, agent_id)
        seqs = {
            "all": pending,
            "first": pending[:1],
            "last": pending[-1:],
            "backwards": pending[::-2],
            "again": list(range(1, len(self.model.agents[agent_id].events) + 1)),
            "twice": [*pending[:2], *pending[:2]],
            "unknown": [len(self.model.agents[agent_id].events) + 1, 10**9],
        }[which]
        self.call(
            Voice(name=name),
            EventType.EVENT_ACK,
            EventAck(seqs=seqs),
            lambda: model_events.acknowledge(self.model, agent_id, seqs),
        )

    @rule(name=AGENTS, after=st.integers(0, 5), limit=st.sampled_from([1, 2, 1000]))
    def read_pending(self, name: str, after: int, limit: int) -> None:
        """What a reconnect would be sent: in order, each until it is acknowledged."""
        agent_id = self.ids[name]

        def read(tx: Tx) -> list[int]:
            return [row["seq"] for row in events.pending(tx, agent_id, after=after, limit=limit)]

        gap = self.seen.gaps[agent_id]
        self.step(lambda: model_events.sent(self.model, agent_id, after, gap)[:limit], read)
        oldest = next(iter(model_events.pending(self.model, self.ids[name])), None)
        assert self.world.run(events.first_pending, self.ids[name]) == oldest
