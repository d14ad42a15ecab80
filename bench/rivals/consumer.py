"""Where a rival's worker runs, in a process of its own."""

import asyncio
import contextlib
import os
import time
import traceback
from pathlib import Path
from typing import Any

import uvloop

from bench.rivals.rival import PACED, Notes, open_rival
from bench.rivals.tally import Tally
from bench.workers.talk import options, questions, say


class Starts:
    """When each job began that is asked for; noted from any thread."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}

    def note(self, title: str) -> None:
        """Note that a job begins now."""
        if title.startswith(PACED):
            self._at[title] = time.monotonic_ns()

    def take(self) -> dict[str, int]:
        """Return what was noted since the last time: each start once, and none never."""
        taken: dict[str, int] = {}
        # One by one, each in one step: a thread that notes meanwhile is heard now or next time.
        while self._at:
            title, at = self._at.popitem()
            taken[title] = at
        return taken


async def main(told: dict[str, Any]) -> None:
    """Work, and hand out when jobs began whenever the benchmark asks."""
    starts = Starts()
    tally = Tally(Path(told["tally"]))
    rival = open_rival(told["module"], told["url"])
    working = asyncio.create_task(rival.work(Notes(started=starts.note, ended=tally.add)))
    say("ready")
    asking = asyncio.create_task(_answer(starts))
    await asyncio.wait({working, asking}, return_when=asyncio.FIRST_COMPLETED)
    status = 0
    if working.done() and (error := working.exception()):
        traceback.print_exception(error)
        status = 1
    # At once: what a rival does on its way out is not measured, and some take their time.
    os._exit(status)


async def _answer(starts: Starts) -> None:
    async for _ in questions():
        say(starts.take())


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(main(options()))
