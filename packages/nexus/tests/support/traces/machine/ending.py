"""Where a trace comes to rest: everybody comes online, and every task must end, or say why not."""

from collections import Counter

from nexus.gateway.calls import CALLS, Context, carry_out
from nexus.services import attempts, dispatch, events, sessions
from nexus.services.sessions import SessionRef
from oblivion.protocol import (
    AgentReady,
    ClaimTask,
    EventType,
    TaskStatus,
    TaskUpdate,
    WireModel,
)
from service_world import NODE
from traces.machine.base import Machine, outcome
from traces.model.state import ModelTask

_ROUNDS = 8
_SKILLS = frozenset({"code", "draw"})


class Ending(Machine):
    """A, at the end: accepted work ends, or waits visibly."""

    def teardown(self) -> None:
        """Come to rest, then forget the trace."""
        try:
            self.come_to_rest()
        finally:
            super().teardown()

    def come_to_rest(self) -> None:
        """Let agents that know nothing but what they are told do all there is to do."""
        later = [task.not_before for task in self.model.tasks.values()]
        later += [task.lease for task in self.model.tasks.values() if task.lease is not None]
        self.world.time.now = max([self.world.time.now, *later]) + 1
        refs = [self._come_online(agent_id) for agent_id in self.model.agents]
        for _ in range(_ROUNDS):
            self._work_a_round(refs)
            if not self._unfinished():
                break
            self.world.time.advance(seconds=121)
        unfinished = self._unfinished()
        assert not unfinished, f"tasks that never end: {unfinished}"
        self._check_history()

    def _come_online(self, agent_id: str) -> SessionRef:
        ref = self.world.run(sessions.open_session, agent_id, NODE)
        ready = AgentReady(
            acks=True, max_concurrency=100, capabilities=sorted(_SKILLS), instance_id="last"
        )
        self._finally(ref, EventType.AGENT_READY, ready)
        return ref

    def _work_a_round(self, refs: list[SessionRef]) -> None:
        self.world.run(attempts.expire)
        self.world.run(dispatch.lease_next, NODE, self.world.limits.lease_ms)
        for task in self.world.run(dispatch.market, NODE).waiting:
            for ref in refs:
                if ref.agent_id in task.agents:
                    self._finally(ref, EventType.CLAIM_TASK, ClaimTask(task_id=task.task_id))
        for ref in refs:
            self._do_what_is_told(ref)

    def _do_what_is_told(self, ref: SessionRef) -> None:
        """Complete what the events say, and nothing else: an agent knows no more than them."""
        pending = self.world.events_of(ref.agent_id)
        for event in pending:
            if event["type"] == EventType.TASK_ASSIGNED:
                attempt = event["payload"]["attempt"]
                done = TaskUpdate(task_id=event["task_id"], attempt=attempt, status=TaskStatus.DONE)
                self._finally(ref, EventType.TASK_UPDATE, done)
        self.world.run(events.acknowledge, ref.agent_id, [event["seq"] for event in pending])

    def _finally(self, ref: SessionRef, type_: EventType, wish: WireModel) -> None:
        context = Context(ref=ref, call_id=None, limits=self.world.limits)
        outcome(lambda: self.world.run(carry_out, CALLS[type_], context, wish))

    def _unfinished(self) -> dict[str, str]:
        rows = self.world.snapshot().tasks
        assert rows.keys() == self.model.tasks.keys()
        open_ = {row["id"]: row["status"] for row in rows.values() if row["finished_at"] is None}
        return {
            task_id: status
            for task_id, status in open_.items()
            if not self._waits_visibly(self.model.tasks[task_id], status)
        }

    def _waits_visibly(self, task: ModelTask, status: str) -> bool:
        """Say whether a task waits for what can be named: an able agent, or an open project."""
        able = any(
            task.group in agent.groups and task.needs <= agent.profile | _SKILLS
            for agent in self.model.agents.values()
        )
        return status == TaskStatus.TODO and not (able and self.model.is_open(task))

    def _check_history(self) -> None:
        """D, once more over all: each attempt was assigned once, and the numbers are whole."""
        last = self.world.snapshot()
        for agent_id, told in last.events.items():
            gone = sum(event.pruned for event in self.model.agents[agent_id].events)
            assert len(told) + gone == last.heads[agent_id]
        assigned = Counter(
            (event["task_id"], event["payload"]["attempt"])
            for told in last.events.values()
            for event in told
            if event["type"] == EventType.TASK_ASSIGNED
        )
        assert max(assigned.values(), default=1) == 1
