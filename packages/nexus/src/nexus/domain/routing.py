"""Where it is decided which agent gets which task."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A connected, ready agent and the room it has; times in epoch milliseconds."""

    agent_id: str
    groups: frozenset[str]
    capabilities: frozenset[str]
    load: int
    max_concurrency: int
    idle_since: int

    @property
    def room(self) -> int:
        """How many more tasks the agent can hold."""
        return self.max_concurrency - self.load

    @property
    def has_room(self) -> bool:
        """Whether the agent can hold one more task."""
        return self.room > 0

    def fits(self, wanted: "Wanted") -> bool:
        """Whether this agent may and can do the task right now."""
        return (
            self.has_room
            and wanted.group_id in self.groups
            and wanted.capabilities <= self.capabilities
        )

    def with_one_more(self) -> "Candidate":
        """Return this candidate after it took one more task."""
        return Candidate(
            agent_id=self.agent_id,
            groups=self.groups,
            capabilities=self.capabilities,
            load=self.load + 1,
            max_concurrency=self.max_concurrency,
            idle_since=self.idle_since,
        )


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a waiting task asks of its agent."""

    task_id: str
    group_id: str
    capabilities: frozenset[str]


def choose_agent(wanted: Wanted, candidates: Iterable[Candidate]) -> Candidate | None:
    """Return the fitting agent with the least load, then the one idle longest, or None."""
    fitting = (candidate for candidate in candidates if candidate.fits(wanted))
    return min(fitting, key=lambda c: (c.load, c.idle_since, c.agent_id), default=None)


def match(tasks: Sequence[Wanted], candidates: Sequence[Candidate]) -> Iterator[tuple[str, str]]:
    """Yield (task id, agent id) pairs, tasks in the given order, until rooms or tasks run out."""
    free = {candidate.agent_id: candidate for candidate in candidates if candidate.has_room}
    for wanted in tasks:
        if not free:
            return
        chosen = choose_agent(wanted, free.values())
        if chosen is None:
            continue
        yield wanted.task_id, chosen.agent_id
        after = chosen.with_one_more()
        if after.has_room:
            free[after.agent_id] = after
        else:
            del free[after.agent_id]
