"""Where it is decided who is told of tasks that wait to be claimed, and of claimed ones."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

REMINDERS = 8
"""How many tasks an agent hears of again when it has room again."""

Eligible = Mapping[str, frozenset[str]]
"""For each waiting task, the agents that could take it now."""


@dataclass(frozen=True, kw_only=True)
class OfferBook:
    """What is offered: ``open`` to those with room now, ``told`` to all who heard of it."""

    open: Eligible = field(default_factory=dict)
    told: Eligible = field(default_factory=dict)

    def without(self, agent_id: str) -> "OfferBook":
        """Return the book as if the agent had never been offered anything: it connects anew."""
        return OfferBook(open=_without(self.open, agent_id), told=_without(self.told, agent_id))

    def unheard(self) -> "OfferBook":
        """Return the book as if every agent had just got room: each is reminded of a few tasks."""
        return OfferBook(told=self.told)


def _without(eligible: Eligible, agent_id: str) -> Eligible:
    return {task_id: agents - {agent_id} for task_id, agents in eligible.items()}


@dataclass(frozen=True, kw_only=True)
class Round:
    """The pairs of task and agent to send ``task_available`` to, and whom to tell of gone tasks."""

    book: OfferBook
    offers: list[tuple[str, str]]
    gone: Eligible


def next_round(book: OfferBook, eligible: Eligible) -> Round:
    """Compare what was offered with who could take what now; ``eligible`` is in order of urgency.

    An agent that had no room and has some again is reminded of the few most urgent tasks that it
    was told of before.
    """
    offers: list[tuple[str, str]] = []
    reminders: Counter[str] = Counter()
    for task_id, agents in eligible.items():
        told = book.told.get(task_id, frozenset())
        for agent_id in sorted(agents - book.open.get(task_id, frozenset())):
            reminders[agent_id] += agent_id in told
            if agent_id not in told or reminders[agent_id] <= REMINDERS:
                offers.append((task_id, agent_id))
    gone = {task_id: agents for task_id, agents in book.told.items() if task_id not in eligible}
    told_now = {
        task_id: agents | book.told.get(task_id, frozenset())
        for task_id, agents in eligible.items()
    }
    return Round(book=OfferBook(open=dict(eligible), told=told_now), offers=offers, gone=gone)
