"""Where the command ``python -m bench.profile`` lives: what the server computes under load.

py-spy samples the server's threads while they compute, in the database too; the server runs
unchanged. With ``--gil`` it takes only what holds the interpreter's lock.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.lean import LeanCrew, Saturation, Staff, lean_crew
from bench.measures.claim import RACING
from bench.processes import DEADLINE_S

STAFFS = {"cycle": Staff(), "claim": RACING}
_PER_SECOND = 250
_SHOWN = 60
_ENTRIES = ("Runner.run (asyncio", "Thread.run (threading.py")
"""What lies above these is in every stack."""
_WAITING = ("_worker (concurrent/futures/thread.py", "Condition.wait (threading.py")


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
            continue  # py-spy takes a thread that waits for a lock for a busy one
        own[frames[-1]] += int(count)
        begins = max((i for i, name in enumerate(frames) if name.startswith(_ENTRIES)), default=-1)
        for name in set(frames[begins + 1 :]):
            whole[name] += int(count)
    return Profile(samples=own.total(), own=own, whole=whole)


async def profiled(crew: LeanCrew, seconds: float, stacks: Path, *options: str) -> str:
    """Load a crew, sample its server, and return what is to be read."""
    loading = asyncio.create_task(crew.saturated(runs=1, seconds=seconds + 1))
    await asyncio.sleep(1.0)
    sampler = await asyncio.create_subprocess_exec(
        *(
            str(Path(sys.executable).parent / "py-spy"),
            "record",
            "--format",
            "raw",
            "--function",
            *options,
        ),
        *("--rate", str(_PER_SECOND), "--duration", str(int(seconds))),
        *("--pid", str(crew.nexus.pid), "--output", str(stacks)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(seconds + DEADLINE_S):
        _, said = await sampler.communicate()
    if sampler.returncode:
        raise RuntimeError(f"py-spy failed; it may need root: {said.decode()}")
    return _report(await loading, fold(_lines(stacks)))


def _lines(stacks: Path) -> list[str]:
    return stacks.read_text().splitlines()


def _report(found: Saturation, profile: Profile) -> str:
    (period,) = found.periods
    facts = [
        f"{period.per_second:,.0f} tasks/s",
        f"CPU a task: server {period.server_ms:.3f} ms, load {period.load_ms:.3f} ms",
        f"{found.claims_a_task:.2f} claims a task",
        f"{profile.samples} samples",
    ]
    tables = {
        "functions by their own time:": profile.own,
        "functions by all the time spent in and below them:": profile.whole,
    }
    return "\n\n".join(
        ["; ".join(facts), *(f"{title}\n{profile.table(of)}" for title, of in tables.items())]
    )


async def _main(asked: argparse.Namespace) -> None:
    async with lean_crew(STAFFS[asked.name]) as crew:
        options = ["--gil"] if asked.gil else []
        print(await profiled(crew, asked.seconds, asked.stacks, *options))


def main() -> None:
    """Profile what was asked for and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("name", choices=STAFFS)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--gil", action="store_true", help="only what holds the interpreter's lock")
    parser.add_argument("--stacks", type=Path, help="keep the stacks here, for speedscope")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(KeyboardInterrupt):
        asked.stacks = asked.stacks or Path(folder) / "stacks.txt"
        asyncio.run(_main(asked))
        return
    sys.exit(130)


if __name__ == "__main__":
    main()
