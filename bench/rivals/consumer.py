"""Where a rival's worker runs, in a process of its own."""

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import Any

import uvloop

from bench.rivals.rival import Notes, open_rival
from bench.rivals.tally import Tally
from bench.workers.talk import options, questions, say


async def main(told: dict[str, Any]) -> None:
    """Work, and hand out when jobs began whenever the benchmark asks."""
    starts: dict[str, int] = {}
    tally = Tally(Path(told["tally"]))

    def started(title: str) -> None:
        if told_apart(title):
            starts[title] = time.monotonic_ns()

    rival = open_rival(told["library"], told["url"])
    working = asyncio.create_task(rival.work(Notes(started=started, ended=tally.add)))
    say("ready")
    asking = asyncio.create_task(_answer(starts))
    await asyncio.wait({working, asking}, return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        working.result()
    # At once: what a rival does on its way out is not measured, and some take their time.
    os._exit(0)


def told_apart(title: str) -> bool:
    """Say whether the start of this job is asked for."""
    return title.startswith("paced")


async def _answer(starts: dict[str, int]) -> None:
    async for _ in questions():
        say(starts)
        starts.clear()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(main(options()))
