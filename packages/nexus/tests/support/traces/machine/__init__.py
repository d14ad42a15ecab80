"""The state machine that drives the services: four agents, their people, two nodes, a clock.

After each step the tables must say what the model says, and keep the laws. At the end of a trace
everybody comes online, and every task must end, or wait for a reason that can be named.
"""

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from traces.machine.choices import WISHES, Wish
from traces.machine.ending import Ending
from traces.machine.nexus import NexusRules
from traces.machine.people import PeopleRules
from traces.machine.strangers import StrangerRules
from traces.machine.teams import TeamRules
from traces.machine.work import WorkRules

__all__ = ["NexusMachine"]


class NexusMachine(WorkRules, NexusRules, PeopleRules, TeamRules, StrangerRules, Ending):
    """Every command there is, in any order."""

    @initialize(
        wishes=st.lists(WISHES, min_size=1, max_size=4),
        prompt=st.sampled_from([True, True, False]),
        pace_ms=st.sampled_from([1, 1, 0]),
        archived=st.sampled_from([None, None, None, "project", "group"]),
    )
    def begin(self, wishes: list[Wish], prompt: bool, pace_ms: int, archived: str | None) -> None:
        """Two agents are there, and there is something to do."""
        self.pace_ms = pace_ms
        for name in ("a", "b"):
            self.arrive(name)
        self.prompt = prompt
        for wish in wishes:
            self.create(wish)
        if archived is not None:
            self.archive(archived)
