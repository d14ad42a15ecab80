"""Where MCP servers run as programs of ours: started, spoken with in bounded memory, and ended."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage

from nexus.domain.redaction import HIDDEN, without_secrets
from nexus.tools.answers import Answers, Flooded
from nexus.tools.lines import Lines, TooLong

_log = logging.getLogger("nexus.tools")
_CHUNK = 64 * 1024
_LONGEST_COMPLAINT = 500
_SHORTEST_SECRET = 6
"""What is shorter stands in too many words to be taken out of them."""

_STOP_S = 2.0
"""How long a program may take to end by itself, and then once it was told to."""

Heard = MemoryObjectSendStream[SessionMessage | Exception]
Said = MemoryObjectReceiveStream[SessionMessage]
Streams = tuple[
    MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]
]


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program that speaks MCP on its standard input and output.

    ``env`` is what it finds in its environment, beside ``PATH``, ``HOME`` and the like.
    """

    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None


@asynccontextmanager
async def run_program(
    name: str, program: Program, on_end: Callable[[str], None]
) -> AsyncIterator[Streams]:
    """Run a program, and yield the streams of the messages that it says and is told.

    ``on_end`` is told why when it cannot be spoken with any more.

    Raises:
        OSError: it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *program.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**get_default_environment(), **program.env},
        cwd=program.cwd,
        start_new_session=True,
    )
    heard, hearing = anyio.create_memory_object_stream[SessionMessage | Exception]()
    saying, said = anyio.create_memory_object_stream[SessionMessage]()
    talk = _Talk(name, program, process, on_end)
    async with anyio.create_task_group() as group, hearing, saying:
        group.start_soon(talk.hear, heard)
        group.start_soon(talk.say, said)
        group.start_soon(talk.note_complaints)
        try:
            yield hearing, saying
        finally:
            with anyio.CancelScope(shield=True):
                await _stop(process)
            group.cancel_scope.cancel()


class _Talk:
    """What goes on between Nexus and one process."""

    def __init__(
        self,
        name: str,
        program: Program,
        process: asyncio.subprocess.Process,
        on_end: Callable[[str], None],
    ) -> None:
        self._name = name
        long = (value for value in program.env.values() if len(value) >= _SHORTEST_SECRET)
        self._given = sorted(long, key=len, reverse=True)  # for one may be a part of another
        self._process = process
        self._on_end = on_end
        self._answers = Answers()

    async def hear(self, heard: Heard) -> None:
        """Pass on what the process answers, until it ends or floods."""
        async with heard:
            try:
                await self._listen(heard)
                why = await self._ending()
            except Flooded as flood:
                why = str(flood)
        self._on_end(why)

    async def _listen(self, heard: Heard) -> None:
        stdout = cast("asyncio.StreamReader", self._process.stdout)
        lines = Lines()
        while chunk := await stdout.read(_CHUNK):
            self._answers.spend(len(chunk))
            for line in lines.feed(chunk):
                await self._pass_on(heard, line)

    async def _pass_on(self, heard: Heard, line: bytes | TooLong) -> None:
        message = self._answers.heard(line)
        if message is not None:
            # Once nobody listens, what a process writes at its end is read and dropped.
            with contextlib.suppress(anyio.BrokenResourceError):
                await heard.send(SessionMessage(message))

    async def _ending(self) -> str:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                return _told(await self._process.wait())
        return "it closed its output"

    async def say(self, said: Said) -> None:
        """Tell the process what is said to it; one that takes nothing holds up its own calls."""
        stdin = cast("asyncio.StreamWriter", self._process.stdin)  # there is a pipe
        async with said:
            with contextlib.suppress(OSError):  # it has ended, which `hear` tells
                async for message in said:
                    self._answers.asked(message.message)
                    text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                    stdin.write(text.encode() + b"\n")
                    await stdin.drain()
                return
        self._on_end("it takes nothing any more")

    async def note_complaints(self) -> None:
        """Keep in the log, line by line and in short, what the process writes to its stderr."""
        stderr = cast("asyncio.StreamReader", self._process.stderr)
        lines = Lines(_LONGEST_COMPLAINT)
        while chunk := await stderr.read(_CHUNK):
            for line in lines.feed(chunk):
                text = line.head if isinstance(line, TooLong) else line
                said = self._hide(text.decode(errors="replace").rstrip())
                _log.debug("tool_said tool=%s line=%r", self._name, said)

    def _hide(self, text: str) -> str:
        """Take out what the program was given in its environment, and what looks like a secret."""
        for value in self._given:
            text = text.replace(value, HIDDEN)
        return without_secrets(text)


def _told(status: int) -> str:
    if status >= 0:
        return f"it ended with exit status {status}"
    with contextlib.suppress(ValueError):
        return f"it was ended by {signal.Signals(-status).name}"
    return f"it was ended by signal {-status}"


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Close its input, ask it to end, and make it end, with all that it has started."""
    if process.stdin is not None:
        process.stdin.close()
    if not await _has_ended(process):
        _signal(process, signal.SIGTERM)
        if not await _has_ended(process):
            _signal(process, signal.SIGKILL)
            await _has_ended(process)
    # What it had still to say is read by nobody; nothing public lets go of it.
    process._transport.close()  # type: ignore[attr-defined]


async def _has_ended(process: asyncio.subprocess.Process) -> bool:
    # Not asyncio's: before Python 3.11.3 it does not end a wait of a task that is being cancelled.
    with anyio.move_on_after(_STOP_S):
        await process.wait()
        return True
    return False


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
