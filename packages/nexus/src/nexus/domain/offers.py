"""Where it is decided who is told of tasks that wait to be claimed, and of claimed ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Eligible = Mapping[str, frozenset[str]]
"""For each waiting task, the agents that could take it now."""


@dataclass(frozen=True, kw_only=True)
class OfferBook:
    """What is offered: ``open`` to those with room now, ``told`` to all who heard of it."""

    open: Eligible = field(default_factory=dict)
    told: Eligible = field(default_factory=dict)

    def without(self, agent_id: str) -> "OfferBook":
        """Return the book as if the agent had never been offered anything: it connects anew."""
        still = {task_id: agents - {agent_id} for task_id, agents in self.open.items()}
        return OfferBook(open=still, told=self.told)


@dataclass(frozen=True, kw_only=True)
class Round:
    """The pairs of task and agent to send ``task_available`` to, and whom to tell of gone tasks."""

    book: OfferBook
    offers: list[tuple[str, str]]
    gone: Eligible


def next_round(book: OfferBook, eligible: Eligible) -> Round:
    """Compare what was offered with who could take what now.

    An agent that had no room and has some again is offered the task again.
    """
    offers = [
        (task_id, agent_id)
        for task_id, agents in eligible.items()
        for agent_id in sorted(agents - book.open.get(task_id, frozenset()))
    ]
    gone = {task_id: agents for task_id, agents in book.told.items() if task_id not in eligible}
    told = {
        task_id: agents | book.told.get(task_id, frozenset())
        for task_id, agents in eligible.items()
    }
    return Round(book=OfferBook(open=dict(eligible), told=told), offers=offers, gone=gone)
