"""Where a queue lives whose worker breaks down: saq, until there is more than a little to do."""

import asyncio

from bench.rivals.on_saq import Saq
from bench.rivals.rival import Notes


class Failing(Saq):
    """Works until its worker has had enough."""

    async def work(self, notes: Notes) -> None:
        broken = asyncio.Event()
        left = iter(range(40))

        def ended() -> None:
            notes.ended()
            if next(left, None) is None:
                broken.set()

        working = asyncio.create_task(super().work(Notes(started=notes.started, ended=ended)))
        await broken.wait()
        working.cancel()
        raise RuntimeError("the worker has had enough")


def open_rival(url: str) -> Failing:
    """Return the queue."""
    return Failing(url)
