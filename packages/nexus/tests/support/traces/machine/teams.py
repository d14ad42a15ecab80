"""Where people run their teams: groups, projects, members, and what agents are said to be."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from nexus.domain.errors import Conflict
from nexus.services import agents, groups, projects
from nexus.services.resources import Agent
from oblivion.protocol import DispatchPolicy, EventType
from traces.machine.base import Machine
from traces.machine.choices import AGENTS, SKILL_SETS
from traces.model import events as model_events
from traces.model import sessions as model_sessions
from traces.model.state import ModelAgent
from traces.world import member


class TeamRules(Machine):
    """What the admins do with everything but tasks."""

    @rule(name=AGENTS, what=st.sampled_from(["edit", "wake", "disconnect"]), skills=SKILL_SETS)
    def manage_agent(self, name: str, what: str, skills: list[str]) -> None:
        agent = self.model.agents[self.ids[name]]
        if what == "edit":
            self._edit_agent(agent, skills)
        elif what == "wake":
            self._wake(agent)
        else:
            self._disconnect(agent)

    @rule(
        what=st.sampled_from(["hire", "move", "archive", "rename", "found", "change policy"]),
        pick=st.integers(0, 1),
    )
    def manage_team(self, what: str, pick: int) -> None:
        """All that seldom happens, in one rule, so that it seldom does."""
        acts: dict[str, Callable[[], None]] = {
            "hire": self._hire,
            "move": lambda: self._join_or_leave("ab"[pick]),
            "archive": lambda: self.archive(("project", "group")[pick]),
            "rename": lambda: self._rename(("Team", "Crew")[pick]),
            "found": self._found,
            "change policy": lambda: self._change_policy(tuple(DispatchPolicy)[pick]),
        }
        acts[what]()

    def _hire(self) -> None:
        """A new agent joins the team; its name is taken from then on."""
        wish = agents.CreateAgent(
            name="Agent d", client_id="d", group_ids=["team"], capabilities=["code"]
        )

        def learn(made: Agent) -> None:
            self.know(member(made, self.world.admin.tenant_id))

        self._manage(
            lambda: self._refuse_taken("d", self.ids), agents.create, wish, "hash", learn=learn
        )

    def _edit_agent(self, agent: ModelAgent, skills: list[str]) -> None:
        def predict() -> None:
            agent.profile = frozenset(skills)

        wish = agents.EditAgent(capabilities=skills)
        owner = self.people()[agent.tenant]
        self.step(predict, agents.edit, owner, agent.id, wish, by=agent.tenant)

    def _wake(self, agent: ModelAgent) -> None:
        owner = self.people()[agent.tenant]
        self.step(
            lambda: model_events.tell(self.model, agent.id, EventType.WAKE_UP),
            agents.wake,
            owner,
            agent.id,
            agents.Wake(),
            by=agent.tenant,
        )

    def _disconnect(self, agent: ModelAgent) -> None:
        owner = self.people()[agent.tenant]
        self.step(
            lambda: model_sessions.disconnect(self.model, agent.id),
            agents.disconnect,
            owner,
            agent.id,
            by=agent.tenant,
        )

    def _join_or_leave(self, name: str) -> None:
        """An agent leaves a group, or joins it again; what it holds there it may finish."""
        agent = self.model.agents[self.ids[name]]
        group = self.world.places["fading"].group_id
        if group in agent.groups:
            self._manage(lambda: agent.groups.remove(group), groups.remove_member, group, name)
        else:
            wish = groups.AddMember(agent_id=name)
            self._manage(lambda: agent.groups.add(group), groups.add_member, group, wish)

    def archive(self, what: str) -> None:
        place = self.world.places["closing" if what == "project" else "fading"]
        service = projects.archive if what == "project" else groups.archive
        named = place.id if what == "project" else place.group_id
        self._manage(lambda: self.model.archived.add(named), service, named)

    def _change_policy(self, policy: DispatchPolicy) -> None:
        place = self.world.places["other"]
        wish = projects.EditProject(dispatch_policy=policy)

        def predict() -> None:
            self.model.policies[place.id] = policy

        self._manage(predict, projects.edit, place.id, wish)

    def _rename(self, name: str) -> None:
        """Another name changes nothing that the model knows of."""
        self._manage(lambda: None, groups.edit, "team", groups.EditGroup(name=name))

    def _found(self) -> None:
        """A new group with a project in it; the second of the same slug is refused."""
        founded = self.world.run(groups.list_all, self.world.admin.tenant_id, limit=9, cursor=None)
        slugs = {group["slug"] for group in founded}
        self._manage(
            lambda: self._refuse_taken("new", slugs),
            groups.create,
            groups.CreateGroup(name="New", slug="new"),
        )
        if "new" not in slugs:
            wish = projects.CreateProject(group_id="new", name="New", slug="new")
            self._manage(lambda: None, projects.create, wish)

    def _refuse_taken(self, name: str, known: Any) -> None:
        if name in known:
            raise Conflict("taken")

    def _manage(self, predict: Any, service: Any, *args: Any, learn: Any = None) -> None:
        """Let the first tenant's admin do something."""
        admin = self.world.admin
        self.step(predict, service, admin, *args, by=admin.tenant_id, learn=learn)
