"""Where a page's shell commands are typed: a folder of its own, and a shell per terminal.

What a page calls ``Terminal 2`` is one shell from the first block to the last, so a variable that
was set in another terminal is as unknown here as it is to a reader.
"""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from code_blocks import CodeBlock
from free_port import free_port

DEADLINE_S = 40.0

_OWN_VARIABLES = (
    "NEXUS_",
    "OBLIVION_",
    "SLACK_",
    "PORT",
    "FORCE_COLOR",
    "NO_COLOR",
    "COV_",
    "PYTEST",
)
_SECRET = re.compile(r"^client secret +(\S+)$", re.MULTILINE)

_PRELUDE = """
set -euo pipefail
# A reader looks again until what the page promises is there.
nexus() {
    if [[ "$*" != "tasks list --status"* && "$*" != "approvals list" ]]
    then command nexus "$@"; return; fi
    local listed
    for _ in {1..40}; do
        listed=$(command nexus "$@" 2>/dev/null)
        if [[ -n "$listed" ]]; then echo "$listed"; return; fi
    done
    echo "never listed anything: nexus $*"; return 1
}
"""


class Terminal:
    """One shell, which does one block after the other."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, name: str) -> None:
        self.output = ""
        self._process = process
        self._folder = folder
        self._name = name
        self._blocks = 0
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while piece := await self._process.stdout.read(65536):
            self.output += piece.decode()
            async with self._news:
                self._news.notify_all()
        async with self._news:
            self._news.notify_all()

    async def type(self, text: str, *, until: str | None = None) -> str:
        """Run a block and return what it printed; ``until`` is what a command prints that stays."""
        assert self._process.stdin is not None
        self._blocks += 1
        begin, end = len(self.output), f"--- end of block {self._blocks} ---"
        script = self._folder / f".{self._name}-{self._blocks}.sh"
        script.write_text(text)
        self._process.stdin.write(f". {script} </dev/null\necho '{end}'\n".encode())
        await self._process.stdin.drain()
        await self._wait_for(end if until is None else until, begin)
        return self.output[begin:].replace(end + "\n", "")

    async def _wait_for(self, text: str, begin: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DEADLINE_S), self._news:
                await self._news.wait_for(
                    lambda: text in self.output[begin:] or self._reader.done()
                )
        assert text in self.output[begin:], f"never printed {text!r}:\n{self.output[begin:]}"

    async def close(self) -> None:
        """End the shell and what runs in it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._reader
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a reader has beside a fresh machine: variables, and what ``stands_for`` it on a page."""

    variables: Mapping[str, str] = field(default_factory=dict)
    stands_for: Mapping[str, str] = field(default_factory=dict)


NOTHING = Given()


class Desk:
    """The folder in which a page is followed, its files and its terminals."""

    def __init__(self, folder: Path, port: int, commands: Path, given: "Given") -> None:
        self.folder = folder
        self._given = given
        self.url = f"http://localhost:{port}"
        self.port = port
        self._commands = commands
        self._files: dict[str, str] = {}
        self._terminals: dict[str, Terminal] = {}
        (folder / ".venv").symlink_to(sys.prefix)

    @property
    def output(self) -> str:
        """All that was printed so far, in all terminals."""
        return "\n".join(terminal.output for terminal in self._terminals.values())

    def substituted(self, text: str) -> str:
        """Return a block's text with our port, and with the secret that an agent got last."""
        secrets = _SECRET.findall(self.output)
        text = text.replace("http://localhost:3000", self.url)
        for shown, real in self._given.stands_for.items():
            text = text.replace(shown, real)
        return text.replace("your_secret_here", secrets[-1]) if secrets else text

    def save(self, name: str, text: str) -> None:
        """Keep a file of the page; it is written when the next command is typed."""
        self._files[name] = text

    async def type(self, block: CodeBlock, text: str, *, until: str | None = None) -> str:
        """Type ``text`` into the terminal that the block names."""
        for name, content in self._files.items():
            (self.folder / name).write_text(self.substituted(content))
        name = title_of(block) or "Terminal"
        if name not in self._terminals:
            self._terminals[name] = await self._open(name.replace(" ", "-"))
        return await self._terminals[name].type(self.substituted(text), until=until)

    async def _open(self, name: str) -> Terminal:
        process = await asyncio.create_subprocess_exec(
            "bash",
            cwd=self.folder,
            env=self.environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        terminal = Terminal(process, self.folder, name)
        await terminal.type(_PRELUDE)
        return terminal

    def environment(self, **more: str) -> Mapping[str, str]:
        """Return a fresh reader's environment, in which our port stands in for 3000."""
        kept = {
            name: text for name, text in os.environ.items() if not name.startswith(_OWN_VARIABLES)
        }
        path = f"{self._commands}:{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}"
        own = {"NEXUS_PORT": str(self.port), "NEXUS_URL": self.url, "PYTHONUNBUFFERED": "1"}
        own |= self._given.variables
        return {**kept, "HOME": str(self.folder), "PATH": path, **own, **more}

    async def close(self) -> None:
        """Close the terminals, the newest first, so that agents end before their Nexus."""
        async with contextlib.AsyncExitStack() as stack:
            for terminal in self._terminals.values():
                stack.push_async_callback(terminal.close)


@contextlib.asynccontextmanager
async def desk(folder: Path, commands: Path, given: Given = NOTHING) -> AsyncIterator[Desk]:
    """Open a desk in a fresh folder, with ``commands`` first on the ``PATH``."""
    folder.mkdir()
    opened = Desk(folder, free_port(), commands, given)
    try:
        yield opened
    finally:
        await opened.close()


def title_of(block: CodeBlock) -> str | None:
    """Return the title that the page gives a block."""
    found = re.search(r'title="([^"]+)"', block.info)
    return found[1] if found else None
