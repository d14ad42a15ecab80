"""Where it is said what a rival can do, and which there are."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

CONCURRENCY = 100
"""Jobs at once in a rival's worker: as many as our agents have slots together."""

PACED = "paced"
"""How the title of a job begins whose start is asked for."""


@dataclass(frozen=True, kw_only=True)
class Notes:
    """What a worker's jobs tell the benchmark."""

    started: Callable[[str], object]
    """Called with a job's title as it begins."""
    ended: Callable[[], object]
    """Called once a job's result is stored."""


class Rival(Protocol):
    """A job queue, used as its documentation says, with settings for throughput."""

    async def connect(self) -> None:
        """Make ready to enqueue."""

    async def enqueue(self, title: str) -> None:
        """Hand in an empty job and return once the broker has it."""

    async def work(self, notes: Notes) -> None:
        """Run jobs until cancelled."""

    async def stored(self) -> int:
        """Return how many results the store holds."""


def open_rival(module: str, url: str) -> Rival:
    """Return a rival at its broker; each is a module of its own, so that only its own is loaded."""
    make: Callable[[str], Rival] = importlib.import_module(module).open_rival
    return make(url)
