"""Where tests run a program as its own process and read what it prints, line by line."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

DEADLINE_S = 20.0


class Program:
    """A running process whose output is read as it comes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[str] = []
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._lines.append(line.decode().rstrip("\n"))
            async with self._news:
                self._news.notify_all()
        async with self._news:
            self._news.notify_all()

    @property
    def output(self) -> str:
        """All that was printed so far, on both streams."""
        return "\n".join(self._lines)

    async def until(self, text: str) -> None:
        """Wait until the program has printed ``text``."""
        try:
            async with asyncio.timeout(DEADLINE_S), self._news:
                await self._news.wait_for(lambda: text in self.output or self._reader.done())
        except TimeoutError:
            pass
        assert text in self.output, f"never printed {text!r}:\n{self.output}"

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for the end and return the exit code."""
        async with asyncio.timeout(DEADLINE_S):
            code = await self._process.wait()
            await self._reader
        return code

    async def close(self) -> None:
        """Kill the process if it still runs."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reader


@contextlib.asynccontextmanager
async def python_program(*arguments: str | Path, **environment: str) -> AsyncIterator[Program]:
    """Run Python with these arguments until the block ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-u",
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environment},
    )
    program = Program(process)
    try:
        yield program
    finally:
        await program.close()
