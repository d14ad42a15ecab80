"""Where the other processes of a benchmark are started, asked and stopped."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
"""Where ``bench`` is importable."""
DEADLINE_S = 30.0
_LONGEST_ANSWER = 2**26


class Worker:
    """A process of ours that answers each line with a line of JSON; see ``workers.talk``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.answer: Any = None
        """The first answer, given when the worker was ready."""

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def tell(self, message: object, *, within: float = DEADLINE_S) -> Any:
        """Send a line and return the answer, which comes within some seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        async with asyncio.timeout(within):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("a worker of the benchmark ended; what it said stands above")
        return json.loads(line)

    async def stop(self) -> None:
        """Hang up, and wait for the end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await end(self._process)


@contextlib.asynccontextmanager
async def worker(module: str, **options: object) -> AsyncIterator[Worker]:
    """Run a module as a worker, ready to be asked, until the block ends."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=pipe,
        stdout=pipe,
        cwd=ROOT,
        env=environment(),
        limit=_LONGEST_ANSWER,
        start_new_session=True,  # Ctrl-C is for the benchmark alone, which ends its workers
    )
    running = Worker(process)
    try:
        running.answer = await running.tell(options)
        yield running
    finally:
        await running.stop()


async def end(process: asyncio.subprocess.Process) -> None:
    """Wait for a process that was told to end; kill it when it does not."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            await process.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a child: this one, without settings meant for another Nexus."""
    foreign = ("NEXUS_", "OBLIVION_")
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(foreign) and name not in {"PORT", "LOG_LEVEL"}
    }
    return {**own, **more}


def memory_kib(pid: int) -> float:
    """Return the resident memory of a process."""
    resident: int = psutil.Process(pid).memory_info().rss
    return resident / 1024


def cpu_seconds(pid: int) -> float:
    """Return how long a process has computed so far, on all cores together."""
    times = psutil.Process(pid).cpu_times()
    spent: float = times.user + times.system
    return spent
