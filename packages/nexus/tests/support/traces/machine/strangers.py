"""Where it is tried what must not be: to see or change what is another's, to break halfway."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from nexus.domain.errors import NotFound
from nexus.services import agents, attempts, dispatch, tasks, threads
from nexus.store import Tx
from oblivion.protocol import DispatchPolicy, PostMessage
from service_world import NODE
from traces.machine.base import Machine, outcome
from traces.machine.choices import AGENTS, TASKS
from traces.model import leases as model_leases
from traces.model.state import ModelTask


class StrangerRules(Machine):
    """What must find nothing, or leave nothing."""

    @precondition(lambda self: self.order)
    @rule(name=AGENTS)
    def fail_halfway(self, name: str) -> None:
        """A command that breaks after much was done leaves nothing of it: no number, no lease."""
        agent = self.model.agents[self.ids[name]]

        def breaks(tx: Tx) -> None:
            dispatch.lease_next(tx, NODE, self.world.limits.lease_ms)
            agents.wake(tx, self.people()[agent.tenant], name, agents.Wake())
            attempts.expire(tx)
            raise NotFound("broken on purpose")

        def predict() -> None:
            raise NotFound("broken on purpose")

        self.step(predict, breaks)

    @precondition(lambda self: self.order)
    @rule(number=TASKS, name=AGENTS)
    def look(self, number: int, name: str) -> None:
        """Each sees what is its own, and nobody else's."""
        self.model.now = self.world.time.now
        task, agent_id = self.task(number), self.ids[name]
        for person in self.people().values():
            self._look_as_person(person.tenant_id, task)
        found = outcome(lambda: self.world.run(tasks.show, self.caller(name), task.id))
        assert (found is NotFound) == (task.group not in self.model.agents[agent_id].groups)
        held = {one.id for one in self.model.held_by(agent_id)}
        assert {one.task_id for one in self.world.run(tasks.claimed, agent_id)} == held
        self._look_at_available(agent_id)
        self._look_at_claims()

    def _look_as_person(self, tenant_id: str, task: ModelTask) -> None:
        person = self.people()[tenant_id]
        found = outcome(lambda: self.world.run(tasks.show, person, task.id))
        assert (found is NotFound) == (tenant_id != task.tenant)
        listed = self.world.run(tasks.search, tenant_id, tasks.TaskFilter(limit=200))
        mine = {one.id for one in self.model.tasks.values() if one.tenant == tenant_id}
        assert {row["id"] for row in listed} == mine

    def _look_at_available(self, agent_id: str) -> None:
        agent = self.model.agents[agent_id]
        expected = [
            task
            for policy in DispatchPolicy
            for task in self.model.waiting(policy)
            if task.group in agent.groups and task.needs <= agent.skills
        ]
        expected.sort(key=lambda task: task.place)
        found = self.world.run(tasks.available, agent_id)
        assert [one.task_id for one in found] == [task.id for task in expected]

    def _look_at_claims(self) -> None:
        found = self.world.run(dispatch.claimed, self.order)
        held = {task.id: task.holder for task in self.model.tasks.values() if task.held}
        assert {claim.task_id: claim.claimed_by_agent_id for claim in found} == held
        waiting = self.world.run(dispatch.market, NODE).waiting
        offered = {task.task_id: set(task.agents) for task in waiting if task.agents}
        assert offered == model_leases.offers(self.model, NODE)
        described = self.world.run(dispatch.described, sorted(offered))
        assert {offer.task_id for offer in described} == offered.keys()

    @precondition(lambda self: self.order)
    @rule(number=TASKS, attempt=st.sampled_from(["cancel", "edit", "say", "wake", "post"]))
    def meddle(self, number: int, attempt: str) -> None:
        """A person of the other tenant, or an agent of another group, finds nothing there."""
        task = self.task(number)
        outsider = next(one for key, one in self.people().items() if key != task.tenant)
        agent_outside = next(a for a in self.model.agents.values() if task.group not in a.groups)
        foreigner = next(a for a in self.model.agents.values() if a.tenant != task.tenant)
        edit = tasks.EditTask(priority=1)
        message = PostMessage(task_id=task.id, text="hi")
        acts: dict[str, Callable[[Tx], Any]] = {
            "cancel": lambda tx: tasks.cancel(tx, outsider, task.id, tasks.Reason()),
            "edit": lambda tx: tasks.edit(tx, outsider, task.id, edit),
            "say": lambda tx: threads.say(tx, outsider, task.id, threads.Say(text="hi")),
            "wake": lambda tx: agents.wake(
                tx, self.person(task), foreigner.id, agents.Wake(task_id=task.id)
            ),
            "post": lambda tx: threads.post_as_agent(tx, agent_outside.id, message),
        }

        def predict() -> None:
            raise NotFound(task.id)

        self.step(predict, acts[attempt])
