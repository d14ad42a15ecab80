"""Where tests get a Nexus that dies and comes back on the same data and port, time and again."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from free_port import free_port
from live_nexus import ADMIN_SECRET
from nexus.failpoints import EXIT_STATUS

DEADLINE_S = 120.0
PROGRAM = Path(__file__).with_name("kill_zygote.py")


class Zygote:
    """A process that has imported Nexus and forks lives, one at a time, for whoever has it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.tell: Callable[[str, int], None] = lambda _word, _value: None

    async def fork(self, life: dict[str, Any]) -> None:
        """Ask for a life."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(life).encode() + b"\n")
        await self._process.stdin.drain()

    async def listen(self) -> None:
        """Tell what becomes of the lives, until there are no more."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            word, _, value = line.decode().strip().partition(" ")
            self.tell(word, int(value or 0))

    async def close(self) -> None:
        """Fork no more."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


@contextlib.asynccontextmanager
async def running_zygote() -> AsyncIterator[Zygote]:
    """Have a zygote until the block ends; it takes a second to start."""
    command = (sys.executable, str(PROGRAM))
    zygote = Zygote(await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE))
    listening = asyncio.create_task(zygote.listen())
    try:
        yield zygote
    finally:
        await zygote.close()
        await listening


@dataclass(kw_only=True)
class MortalNexus:
    """A Nexus on one data folder and port, dead at first."""

    zygote: Zygote
    data_dir: Path
    port: int
    fault: str | None = None
    """The name of a planted fault for the lives to come."""
    options: dict[str, Any] = field(default_factory=dict)
    up: asyncio.Event = field(default_factory=asyncio.Event)
    _pid: int = 0
    _born: asyncio.Event = field(default_factory=asyncio.Event)
    _end: asyncio.Future[int] | None = None

    @property
    def url(self) -> str:
        """Where it answers while it lives."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> str | Path:
        """The database's address, or the path of the embedded one."""
        address: str | None = self.options.get("database_url")
        return address or self.data_dir / "nexus.db"

    @property
    def log(self) -> Path:
        """What all lives wrote to stderr."""
        return self.data_dir.parent / "nexus.log"

    async def begin(self, failpoint: str | None = None, *, armed_by: str | None = None) -> None:
        """Begin a life; it may end before it answers, so wait for ``up`` or for ``end``.

        The point counts from the start of the process on, or from the first command on whose
        service lives in the module ``armed_by``; ``MODULE:3`` is the third.
        """
        assert self._end is None or self._end.done(), "the life before has not ended"
        self._born.clear()
        settings = {"data_dir": str(self.data_dir), "port": self.port, **self.options}
        life = {
            "failpoint": failpoint,
            "armed_by": armed_by,
            "fault": self.fault,
            "log": str(self.log),
            "settings": {"admin_client_secret": ADMIN_SECRET, **settings},
        }
        self._end = asyncio.get_running_loop().create_future()
        await self.zygote.fork(life)

    async def start(self, failpoint: str | None = None, *, armed_by: str | None = None) -> None:
        """Begin a life and wait until it answers requests."""
        await self.begin(failpoint, armed_by=armed_by)
        async with asyncio.timeout(DEADLINE_S):
            await self.up.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send the living process a signal."""
        os.kill(self._pid, number)

    async def end(self) -> int:
        """Wait for the end of this life; return its exit status, negative after a signal."""
        assert self._end is not None, "no life has begun"
        async with asyncio.timeout(DEADLINE_S):
            return await asyncio.shield(self._end)

    async def end_at_failpoint(self) -> None:
        """Wait until the armed point was reached, and nothing else ended the life."""
        assert await self.end() == EXIT_STATUS, self.log.read_text()

    async def kill(self) -> None:
        """End this life as a power cut would, if it lasts."""
        if self._end is not None and not self._end.done():
            async with asyncio.timeout(DEADLINE_S):
                await self._born.wait()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            await self.end()

    def hear(self, word: str, value: int) -> None:
        """Take in what the zygote tells."""
        if word == "born":
            self._pid = value
            self._born.set()
        elif word == "up":
            self.up.set()
        else:
            self.up.clear()
            if self._end is not None:
                self._end.set_result(value)


@contextlib.asynccontextmanager
async def mortal_nexus(zygote: Zygote, folder: Path, **options: Any) -> AsyncIterator[MortalNexus]:
    """Have a Nexus that begins lives until the block ends; ``options`` are settings."""
    nexus = MortalNexus(zygote=zygote, data_dir=folder / "data", port=free_port(), options=options)
    zygote.tell = nexus.hear
    try:
        yield nexus
    finally:
        await nexus.kill()
