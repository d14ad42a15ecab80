"""Where tests run ``nexus demo`` as a process, wait for what it shows, look for what it leaves."""

import asyncio
import contextlib
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from pathlib import Path

import psutil

DEADLINE_S = 45.0


class DemoProcess:
    """A running demo, its output in a file, its temporary folders under ``folder``."""

    def __init__(self, folder: Path, options: tuple[str, ...], typed: str) -> None:
        self.folder = folder
        self._output = folder / "output.txt"
        (folder / "input.txt").write_text(typed)
        with self._output.open("wb") as output, (folder / "input.txt").open("rb") as keyboard:
            self._start(options, keyboard.fileno(), output.fileno())

    def _start(self, options: tuple[str, ...], keyboard: int, screen: int) -> None:
        self._family: list[psutil.Process] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nexus.cli", "demo", *options],
            cwd=self.folder,
            env={**os.environ, "TMPDIR": str(self.folder), "PYTHONUNBUFFERED": "1"},
            stdin=keyboard,
            stdout=screen,
            stderr=screen,
        )

    @property
    def output(self) -> str:
        """What was shown so far."""
        return self._output.read_text(encoding="utf-8")

    async def shows(self, text: str) -> None:
        """Wait until ``text`` was shown."""
        async with asyncio.timeout(DEADLINE_S):
            while text not in self.output:
                assert self._process.poll() is None, self.output
                await asyncio.sleep(0.02)

    async def ends(self) -> int:
        """Wait for the end and return the exit code."""
        return await asyncio.to_thread(self._process.wait, DEADLINE_S)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the demo alone."""
        self._process.send_signal(number)

    def family(self) -> list[psutil.Process]:
        """Return the processes that the demo started (last had), and those that they started."""
        if self._process.poll() is None:
            self._family = psutil.Process(self._process.pid).children(recursive=True)
        return self._family

    def actors(self) -> list[psutil.Process]:
        """Return the processes that the demo itself started: Nexus and the agents."""
        return psutil.Process(self._process.pid).children()

    def leftovers(self) -> list[str]:
        """Return the folders that the demo made and did not remove."""
        return [path.name for path in self.folder.glob("nexus-demo-*")]

    async def kill(self) -> None:
        """End it and its processes, whatever state they are in."""
        family = self.family()
        self._process.kill()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        await self.ends()


class DemoAtTerminal(DemoProcess):
    """A demo whose audience sits at a terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shown = b""
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (50, 200))
        os.set_blocking(self._ours, False)
        self._start((), theirs, theirs)
        os.close(theirs)

    @property
    def output(self) -> str:
        """What was shown so far."""
        with contextlib.suppress(OSError):  # nothing more for now, or the terminal is closed
            while more := os.read(self._ours, 65536):
                self._shown += more
        return self._shown.decode()

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._ours, text.encode())

    async def kill(self) -> None:
        """End it and its processes, and close the terminal."""
        await super().kill()
        os.close(self._ours)


async def gone(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those that are still there after a fair time; there should be none."""
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, timeout=10)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@contextlib.asynccontextmanager
async def running_demo(folder: Path, *options: str, typed: str = "") -> AsyncIterator[DemoProcess]:
    """Run ``nexus demo`` until the block ends."""
    demo = DemoProcess(folder, options, typed)
    try:
        yield demo
    finally:
        await demo.kill()


@contextlib.asynccontextmanager
async def demo_at_terminal(folder: Path) -> AsyncIterator[DemoAtTerminal]:
    """Run ``nexus demo`` at a terminal until the block ends."""
    demo = DemoAtTerminal(folder)
    try:
        yield demo
    finally:
        await demo.kill()
