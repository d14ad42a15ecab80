"""Where it is decided who is told of tasks that wait to be claimed, and of claimed ones.

In two steps. :func:`favour` gives each new task a head start with one agent that has room for it,
so that agents need not race for all there is, and most claims succeed; it says who may hear of
what. :func:`next_round` compares that with who has heard of what already.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from nexus.domain.routing import Candidate

HEAD_START_MS = 500
"""How long a task waits for the one agent that was told of it before all others are."""

HEAD_STARTS = 8
"""How many an agent has at once, if it has room; more would pass before it could claim them all."""

CHOOSY_MS = 30_000
"""How long an agent that let a head start pass gets none, and is told of everything instead."""

REMINDERS = 8
"""How many tasks an agent hears of again when it has room again."""

_RESTS = 8
_LEAST_REST_S = 0.005
_LONGEST_REST_S = 0.1

Agents = Mapping[str, frozenset[str]]
"""For each task, some agents."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A task that waits to be claimed, and the agents that could take it now."""

    task_id: str
    priority: int
    agents: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Favours:
    """Who has a head start with which task, and who let one pass; times in epoch milliseconds."""

    started: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """For each task the agent, and when its head start ends; 0 once others are told, too."""
    choosy: Mapping[str, int] = field(default_factory=dict)
    """For each agent that wants to choose, until when."""

    @property
    def are_running(self) -> bool:
        """Whether a head start is under way, so that it will have to be looked at again."""
        return any(until for _, until in self.started.values())

    @property
    def passed(self) -> int:
        """How many tasks that everybody may hear of are still not taken."""
        return sum(not until for _, until in self.started.values())


def favour(
    favours: Favours, waiting: Sequence[Waiting], free: Sequence[Candidate], now: int
) -> tuple[Favours, list[Waiting]]:
    """Narrow down who may hear of each waiting task; an agent without room need not hear of more.

    Whoever lets a head start pass seems to choose, or to be slow: it hears of everything for some
    time, and the task goes to all. So each eligible agent is told of what nobody takes.
    """
    passed = {
        agent_id: now + CHOOSY_MS
        for task in waiting
        for agent_id, until in [favours.started.get(task.task_id, ("", 0))]
        if 0 < until <= now and agent_id in task.agents
    }
    choosy = {agent: until for agent, until in favours.choosy.items() if until > now} | passed
    desk = _Desk(favours, frozenset(choosy), {c.agent_id: c for c in free}, now)
    narrowed = [
        Waiting(task_id=task.task_id, priority=task.priority, agents=desk.audience(task))
        for task in waiting
    ]
    return Favours(started=desk.started, choosy=choosy), narrowed


class _Desk:
    """Hands out head starts, task by task."""

    def __init__(
        self, favours: Favours, choosy: frozenset[str], free: dict[str, Candidate], now: int
    ) -> None:
        self.started: dict[str, tuple[str, int]] = {}
        self._before = favours.started
        self._choosy = choosy
        self._attentive = {name: one for name, one in free.items() if name not in choosy}
        self._given: Counter[str] = Counter()
        self._now = now

    def audience(self, task: Waiting) -> frozenset[str]:
        """Return who may hear of a task now."""
        favourite, until = self._before.get(task.task_id, ("", self._now + HEAD_START_MS))
        if until <= self._now:
            self.started[task.task_id] = favourite, 0
            return task.agents
        if favourite not in task.agents:
            favourite = self._favourite(task)
        if favourite:
            self.started[task.task_id] = favourite, until
            self._take_room(favourite)
        return task.agents & (self._choosy | {favourite})

    def _favourite(self, task: Waiting) -> str:
        able = self._attentive.keys() & task.agents if self._attentive else ()
        candidates = (self._attentive[name] for name in able)
        best = min(candidates, key=lambda c: (c.load, c.idle_since, c.agent_id), default=None)
        return "" if best is None else best.agent_id

    def _take_room(self, agent_id: str) -> None:
        self._given[agent_id] += 1
        candidate = self._attentive.pop(agent_id, None)
        if candidate is not None and candidate.room > 1 and self._given[agent_id] < HEAD_STARTS:
            self._attentive[agent_id] = candidate.with_one_more()


@dataclass(frozen=True, kw_only=True)
class OfferBook:
    """What is offered: ``open`` to those with room now, ``told`` to all who heard of it."""

    open: Agents = field(default_factory=dict)
    told: Agents = field(default_factory=dict)

    def without(self, agent_id: str) -> "OfferBook":
        """Return the book as if the agent had never been offered anything: it connects anew."""
        return OfferBook(open=_without(self.open, agent_id), told=_without(self.told, agent_id))

    def unheard(self) -> "OfferBook":
        """Return the book as if every agent had just got room: each is reminded of a few tasks."""
        return OfferBook(told=self.told)


def _without(offered: Agents, agent_id: str) -> Agents:
    return {task_id: agents - {agent_id} for task_id, agents in offered.items()}


@dataclass(frozen=True, kw_only=True)
class Round:
    """The tasks to offer to each agent, in this order, and whom to tell of tasks that are gone."""

    book: OfferBook
    offers: Mapping[str, Sequence[str]]
    gone: Agents


def next_round(book: OfferBook, waiting: Sequence[Waiting]) -> Round:
    """Compare what was offered with who could take what now; ``waiting`` is in order of urgency.

    An agent that had no room and has some again is reminded of a few tasks that it was told of
    before. Agents that are told of the same tasks hear of them in different orders, for most claim
    what they hear of first, and all but one of those who claim the same claim in vain.
    """
    told = {task.task_id: book.told.get(task.task_id, frozenset()) for task in waiting}
    news = _news(book, waiting)
    offers = {
        agent_id: _chosen(agent_id, _turned(tasks, place / len(news)), told)
        for place, (agent_id, tasks) in enumerate(sorted(news.items()))
    }
    return Round(
        book=OfferBook(
            open={task.task_id: task.agents for task in waiting},
            told={task.task_id: task.agents | told[task.task_id] for task in waiting},
        ),
        offers={agent_id: chosen for agent_id, chosen in offers.items() if chosen},
        gone={task_id: agents for task_id, agents in book.told.items() if task_id not in told},
    )


def _news(book: OfferBook, waiting: Sequence[Waiting]) -> dict[str, list[Waiting]]:
    """Return for each agent what it could take now and could not the last time."""
    news: dict[str, list[Waiting]] = {}
    for task in waiting:
        for agent_id in task.agents - book.open.get(task.task_id, frozenset()):
            news.setdefault(agent_id, []).append(task)
    return news


def _turned(tasks: Sequence[Waiting], share: float) -> Iterator[Waiting]:
    """Yield the tasks of each priority, the first ``share`` of them last."""
    for _, group in groupby(tasks, key=lambda task: task.priority):
        alike = list(group)
        first = int(share * len(alike))
        yield from alike[first:]
        yield from alike[:first]


def _chosen(agent_id: str, tasks: Iterator[Waiting], told: Agents) -> list[str]:
    reminders = 0
    chosen = []
    for task in tasks:
        reminders += agent_id in told[task.task_id]
        if reminders <= REMINDERS or agent_id not in told[task.task_id]:
            chosen.append(task.task_id)
    return chosen


def rest_s(took_s: float) -> float:
    """Return for how many seconds to look no more at what to offer, after a look that took so many.

    Eight times as long, for whoever works waits meanwhile; many wake-ups are answered by one look.
    """
    return min(max(_LEAST_REST_S, _RESTS * took_s), _LONGEST_REST_S)
