"""Where agents come, announce themselves, live and go."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from nexus.services import installation, redelivery, sessions
from nexus.store import Tx
from oblivion.protocol import AgentReady, AgentStatus, EventType, HeartbeatCall, StatusUpdate
from service_world import NODE
from traces.machine.base import Machine, Voice
from traces.machine.choices import ACTIVE, AGENTS, AGES, NODES, SKILL_SETS, TASKS
from traces.model import attempts as model_attempts
from traces.model import events as model_events
from traces.model import handover as model_handover
from traces.model import sessions as model_sessions


class SessionRules(Machine):
    """What begins, keeps and ends a connection."""

    def arrive(self, name: str, active: str = "none") -> None:
        """Connect an agent with room for one task."""
        self._open(name, NODE)
        self._announce(Voice(name=name), active, capabilities=["code"])

    @rule(name=AGENTS, node=NODES, room=st.integers(1, 3), skills=SKILL_SETS, active=ACTIVE)
    def connect(self, name: str, node: str, room: int, skills: list[str], active: str) -> None:
        """The same process comes again, perhaps elsewhere, and supersedes its session."""
        self._open(name, node)
        epoch = self.world.run(installation.epoch_of)
        announced = {"max_concurrency": room, "capabilities": skills, "epoch": epoch}
        self._announce(Voice(name=name), active, **announced)

    @precondition(lambda self: self.away())
    @rule(pick=st.integers(0, 1), active=ACTIVE)
    def come_back(self, pick: int, active: str) -> None:
        """An agent that was cut off connects again."""
        away = self.away()
        self.arrive(away[pick % len(away)], active)

    @precondition(lambda self: self.somebody_works())
    @rule(number=TASKS, active=st.sampled_from(["none", "none", "some"]))
    def start_anew(self, number: int, active: str) -> None:
        """The process of an agent that holds something was killed; the next knows nothing of it."""
        name = self.model.agents[self.held(number).holder or ""].name
        self._open(name, NODE)
        age = len(self.refs[name])
        self._announce(Voice(name=name), active, instance_id=f"process-{age}")

    @rule(name=AGENTS)
    def catch_up(self, name: str) -> None:
        """What an agent has missed is read for it: of the assignments, those that still hold."""
        agent_id = self.ids[name]

        def read(tx: Tx) -> list[tuple[int, bool]]:
            rows = redelivery.pending(tx, agent_id, after=0, limit=1_000)
            return [(row["seq"], "withdrawn" in row) for row in rows]

        gap = self.seen.gaps[agent_id]
        self.step(lambda: model_events.late(self.model, agent_id, gap), read)

    def away(self) -> list[str]:
        """Return the agents that should be there and are not."""
        sessions = {name: self.model.agents[self.ids[name]].session for name in ("a", "b")}
        return [name for name, session in sessions.items() if session is None or not session.ready]

    @rule(
        voice=st.builds(Voice, name=AGENTS, age=AGES),
        active=ACTIVE,
        instance=st.sampled_from(["process-1", "process-2", "process-3", None]),
        accepts=st.sampled_from([True, True, False]),
        last_seq=st.sampled_from([0, 3, 10**6]),
    )
    def announce(
        self, voice: Voice, active: str, instance: str | None, accepts: bool, last_seq: int
    ) -> None:
        """A session, perhaps an ended one, announces itself, perhaps as a new process."""
        self._announce(
            voice,
            active,
            instance_id=instance,
            accepts_tasks=accepts,
            last_seq=last_seq,
            max_concurrency=2,
        )

    @rule(voice=st.builds(Voice, name=AGENTS, age=AGES), active=st.none() | ACTIVE)
    def heartbeat(self, voice: Voice, active: str | None) -> None:
        ref = self.ref(voice.name, voice.age)
        named = None if active is None else self.active(voice.name, active)
        pairs = None if named is None else [(task.task_id, task.attempt) for task in named]
        self.call(
            voice,
            EventType.HEARTBEAT,
            HeartbeatCall(active=named),
            lambda: model_sessions.heartbeat(self.model, ref.agent_id, ref.session_id, pairs),
        )

    @rule(name=AGENTS, age=AGES)
    def breathe(self, name: str, age: int) -> None:
        ref = self.ref(name, age)
        self.step(
            lambda: model_sessions.seen(self.model, ref.agent_id, ref.session_id),
            sessions.seen,
            [ref],
        )

    @precondition(lambda self: self.order)
    @rule(name=AGENTS, status=st.sampled_from(AgentStatus), number=st.none() | TASKS)
    def say_status(self, name: str, status: AgentStatus, number: int | None) -> None:
        """Mostly of a task that the agent holds, if of any."""
        ref = self.ref(name)
        own = self.model.held_by(self.ids[name])
        about = own[number % len(own)] if own and number else self.task(number or 0)
        task_id = None if number is None else about.id

        def predict() -> None:
            session = model_sessions.require_ready(self.model, ref.agent_id, ref.session_id)
            session.last_seen = self.model.now
            if status is AgentStatus.WORKING and task_id is not None:
                model_attempts.start(self.model, ref.agent_id, task_id)

        wish = StatusUpdate(status=status, task_id=task_id)
        self.call(Voice(name=name), EventType.STATUS_UPDATE, wish, predict)

    @rule(name=AGENTS, age=AGES, again=st.booleans())
    def close(self, name: str, age: int, again: bool) -> None:
        """A connection is gone; perhaps the next has not announced itself yet."""
        ref = self.ref(name, age)
        self.step(
            lambda: model_sessions.close(self.model, ref.agent_id, ref.session_id),
            sessions.close_session,
            ref,
            "gone",
            by=ref.agent_id,
        )
        if again:
            self._open(name, NODE)

    def _open(self, name: str, node: str) -> None:
        agent_id = self.ids[name]

        def opened(tx: Tx) -> sessions.SessionRef:
            return sessions.open_session(tx, agent_id, node)

        def learn(ref: sessions.SessionRef) -> None:
            self.refs[name].append(ref)
            model_sessions.opened(self.model, agent_id, ref.session_id, node)

        self.step(lambda: None, opened, by=agent_id, learn=learn)

    def _announce(self, voice: Voice, active: str, **announced: Any) -> None:
        ref = self.ref(voice.name, voice.age)
        ready = AgentReady(
            version="1",
            acks=True,
            active=self.active(voice.name, active),
            **{"instance_id": "process-1", **announced},
        )
        self.call(
            voice,
            EventType.AGENT_READY,
            ready,
            lambda: model_handover.agent_ready(self.model, ref.agent_id, ref.session_id, ready),
        )
