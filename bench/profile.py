"""Where the command ``python -m bench.profile`` lives: what the server computes under load.

py-spy samples the server's threads while they compute, in the database too; the server runs
unchanged. With ``--gil`` it takes only what holds the interpreter's lock.
"""

import argparse
import asyncio
import contextlib
import itertools
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.effort import QUICK
from bench.lean import Staff, lean_crew
from bench.load.http import connections
from bench.measures import crowd, token
from bench.measures.claim import RACING
from bench.nexus_process import nexus
from bench.processes import cpu_seconds, start

_PER_SECOND = 250
_SHOWN = 60
_ENTRIES = ("Runner.run (asyncio", "Thread.run (threading.py")
"""What lies above these is in every stack."""
_WAITING = (
    "Runner.run (asyncio",
    "_worker (concurrent/futures/thread.py",
    "Condition.wait (threading.py",
)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """In how many samples a function was the one that ran, and in how many it was under way."""

    samples: int
    own: Counter[str]
    whole: Counter[str]

    def table(self, counts: Counter[str]) -> str:
        """Return the most frequent functions, one a line, with their share of all samples."""
        return "\n".join(
            f"{count / self.samples:7.1%}  {name}" for name, count in counts.most_common(_SHOWN)
        )


def fold(lines: Iterable[str]) -> Profile:
    """Return the profile of stacks: functions from the outermost in, ``;`` between, and a count."""
    own, whole = Counter[str](), Counter[str]()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if frames[-1].startswith(_WAITING):
            continue  # py-spy takes these for busy
        own[frames[-1]] += int(count)
        begins = max((i for i, name in enumerate(frames) if name.startswith(_ENTRIES)), default=-1)
        for name in set(frames[begins + 1 :]):
            whole[name] += int(count)
    return Profile(samples=own.total(), own=own, whole=whole)


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """py-spy, with what it is asked for."""

    seconds: float
    stacks: Path
    options: Sequence[str]

    async def sample(self, pid: int) -> None:
        """Sample a process.

        Raises:
            RuntimeError: py-spy may not look into it.
        """
        process = await start(
            [
                *(str(Path(sys.executable).parent / "py-spy"), "record", "--pid", str(pid)),
                *("--format", "raw", "--function", "--rate", str(_PER_SECOND)),
                *("--duration", str(int(self.seconds)), "--output", str(self.stacks)),
                *self.options,
            ],
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, said = await process.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        if process.returncode:
            raise RuntimeError(f"py-spy failed; it may need root: {said.decode()}")


async def _cycles(staff: Staff, sampler: Sampler) -> str:
    async with lean_crew(staff) as crew:
        loading = asyncio.create_task(crew.saturated(runs=1, seconds=sampler.seconds + 1))
        await asyncio.sleep(1.0)
        await sampler.sample(crew.nexus.pid)
        found = await loading
    (period,) = found.periods
    return (
        f"{period.per_second:,.0f} tasks/s; CPU a task: server {period.server_ms:.3f} ms, "
        f"load {period.load_ms:.3f} ms; {found.claims_a_task:.2f} claims a task"
    )


async def _token(sampler: Sampler) -> str:
    async with nexus() as server, connections(server.url, token.CONNECTIONS) as load:
        prepared, counted = await token.token_request(server), itertools.count()

        async def ask() -> None:
            while True:
                await load.post(prepared)
                next(counted)

        asking = [asyncio.create_task(ask()) for _ in range(token.CONNECTIONS)]
        cpu = cpu_seconds(server.pid)
        await sampler.sample(server.pid)
        cpu = cpu_seconds(server.pid) - cpu
        for one in asking:
            one.cancel()
        given = next(counted)
    return f"{given / sampler.seconds:,.0f} tokens/s; CPU a token: {cpu / given * 1000:.3f} ms"


async def _crowd(sampler: Sampler) -> str:
    async with crowd.ready(QUICK.crowd) as (server, agents):
        connecting = asyncio.create_task(agents.tell({"do": "connect"}, within=300))
        await sampler.sample(server.pid)
        seconds = await connecting
    return f"{QUICK.crowd / seconds:,.0f} connects/s, then idle"


SCENES: dict[str, Callable[[Sampler], Coroutine[None, None, str]]] = {
    "cycle": partial(_cycles, Staff()),
    "claim": partial(_cycles, RACING),
    "token": _token,
    "crowd": _crowd,
}


def _report(facts: str, profile: Profile) -> str:
    tables = {
        "functions by their own time:": profile.own,
        "functions by all the time spent in and below them:": profile.whole,
    }
    return "\n\n".join(
        [
            f"{facts}; {profile.samples} samples",
            *(f"{title}\n{profile.table(of)}" for title, of in tables.items()),
        ]
    )


def main() -> None:
    """Profile what was asked for and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("name", choices=SCENES)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--gil", action="store_true", help="only what holds the interpreter's lock")
    parser.add_argument("--stacks", type=Path, help="keep the stacks here, for speedscope")
    asked = parser.parse_args()
    options = ["--gil"] if asked.gil else []
    with tempfile.TemporaryDirectory() as folder:
        stacks = asked.stacks or Path(folder) / "stacks.txt"
        sampler = Sampler(seconds=asked.seconds, stacks=stacks, options=options)
        facts = asyncio.run(SCENES[asked.name](sampler))
        print(_report(facts, fold(stacks.read_text().splitlines())))


if __name__ == "__main__":
    main()
