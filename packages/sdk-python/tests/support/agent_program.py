"""Where agents are started as processes of their own, as a supervisor starts them."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

DEADLINE_S = 30.0
_OURS = ("OBLIVION_", "COV_", "PYTEST_")


class AgentProgram:
    """A running process, and what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.output = ""
        self._process = process
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self.output += line.decode()
            async with self._news:
                self._news.notify_all()
        async with self._news:
            self._news.notify_all()

    async def printed(self, text: str, *, patience: float = DEADLINE_S) -> None:
        """Wait until the text was printed."""
        async with asyncio.timeout(patience), self._news:
            await self._news.wait_for(lambda: text in self.output or self._reader.done())
        assert text in self.output, self.output

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def send_to_group(self, number: signal.Signals) -> None:
        """Send a signal to it and all that it started, as Ctrl-C in a terminal does."""
        os.killpg(self._process.pid, number)

    async def ended(self) -> int:
        """Wait for the end and return the exit code, negative for a signal."""
        async with asyncio.timeout(DEADLINE_S):
            await self._reader
            return await self._process.wait()

    async def close(self) -> None:
        """Kill it and all that it started, as far as it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self.send_to_group(signal.SIGKILL)
        await self.ended()


@contextlib.asynccontextmanager
async def program(
    *command: str, folder: Path, variables: Mapping[str, str] | None = None
) -> AsyncIterator[AgentProgram]:
    """Run a command in a folder until the block ends."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(_OURS)}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**kept, "PYTHONUNBUFFERED": "1", **(variables or {})},
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
    )
    running = AgentProgram(process)
    try:
        yield running
    finally:
        await running.close()


@contextlib.asynccontextmanager
async def oblivion(
    *arguments: str, folder: Path, variables: Mapping[str, str] | None = None
) -> AsyncIterator[AgentProgram]:
    """Run the command ``oblivion`` in a folder until the block ends."""
    command = (sys.executable, "-m", "oblivion", *arguments)
    async with program(*command, folder=folder, variables=variables) as running:
        yield running
