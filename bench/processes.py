"""Where the other processes of a benchmark are started, asked and stopped."""

import asyncio
import contextlib
import ctypes
import json
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
"""Where ``bench`` is importable."""
DEADLINE_S = 30.0
ENDED = "a worker of the benchmark ended; what it said stands above"
_LONGEST_ANSWER = 2**26
_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


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

    @property
    def has_ended(self) -> bool:
        """Whether the process is no more."""
        return self._process.returncode is not None

    async def tell(self, message: object, *, within: float = DEADLINE_S) -> Any:
        """Send a line and return the answer.

        Raises:
            RuntimeError: the worker has ended.
            TimeoutError: no answer came within as many seconds.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        try:
            async with asyncio.timeout(within):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise TimeoutError(f"no answer within {within:g} s to {message}") from None
        if not line:
            raise RuntimeError(ENDED)
        return json.loads(line)

    async def stop(self) -> None:
        """Hang up, and wait for the end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await end(self._process)


@contextlib.asynccontextmanager
async def worker(module: str, /, **options: object) -> AsyncIterator[Worker]:
    """Run a module as a worker, ready to be asked, until the block ends."""
    pipe = asyncio.subprocess.PIPE
    process = await start(
        [sys.executable, "-m", module],
        stdin=pipe,
        stdout=pipe,
        cwd=ROOT,
        env=environment(),
        limit=_LONGEST_ANSWER,
    )
    running = Worker(process)
    try:
        running.answer = await running.tell(options)
        yield running
    finally:
        await running.stop()


async def start(command: Sequence[str], **options: Any) -> asyncio.subprocess.Process:
    """Start a process that Ctrl-C spares, for the benchmark ends it; it never outlives that."""
    return await asyncio.create_subprocess_exec(
        *command, start_new_session=True, preexec_fn=_die_with_the_benchmark, **options
    )


def _die_with_the_benchmark() -> None:
    if _libc is not None:
        _libc.prctl(_PDEATHSIG, signal.SIGKILL)


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


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, and that no client is given by chance.

    While a server is down, one of thousands that try to connect would else connect to itself.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def memory_kib(pid: int) -> float:
    """Return the resident memory of a process."""
    resident: int = psutil.Process(pid).memory_info().rss
    return resident / 1024


def cpu_seconds(pid: int) -> float:
    """Return how long a process has computed so far, on all cores and with its children."""
    process = psutil.Process(pid)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(time.user + time.system for time in times)
