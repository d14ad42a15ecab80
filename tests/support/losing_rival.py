"""Where a queue lives that loses jobs: saq, but of the first fifty every fifth is dropped."""

import itertools

from bench.rivals.on_saq import Saq


class Losing(Saq):
    """Says that it took each job, and drops some."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._numbers = itertools.count(1)

    async def enqueue(self, title: str) -> None:
        number = next(self._numbers)
        if number % 5 or number > 50:
            await super().enqueue(title)


def open_rival(url: str) -> Losing:
    """Return the queue."""
    return Losing(url)
