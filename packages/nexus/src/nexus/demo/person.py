"""Where somebody answers the agents' questions: played by the demo, or you, with ``--ask``."""

import asyncio
import os
import sys
import threading
from contextlib import suppress

from nexus.demo.api import Api
from nexus.demo.board import Job

PLAYED = "Robin"
YOU = "You"
_PAUSE_S = 1.5
"""What the played person takes to read a question, so that the audience can read it too."""


class Person:
    """Answers one question after the other."""

    def __init__(self, api: Api, *, asks_you: bool) -> None:
        self._api = api
        self._keyboard = Keyboard() if asks_you else None
        self._turn = asyncio.Lock()

    async def answer(self, task_id: str, job: Job) -> None:
        """Answer the open question of a task in its thread."""
        async with self._turn:
            typed = await self._typed(job)
            if not typed:
                await asyncio.sleep(_PAUSE_S)
            said = {"text": typed or job.answer, "author": YOU if typed else PLAYED}
            await self._api.post(f"/observer/tasks/{task_id}/messages", **said)

    async def _typed(self, job: Job) -> str:
        """Return what you type; nothing when you leave it to the demo."""
        if self._keyboard is None:
            return ""
        prompt = f"Your answer to #{job.number} (Enter alone answers {job.answer!r}): "
        return (await self._keyboard.line(prompt)).strip()


class Keyboard:
    """Lines from standard input, read on a thread that never keeps the process from ending."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._ended = False
        threading.Thread(target=self._read, daemon=True, name="keyboard").start()

    async def line(self, prompt: str) -> str:
        """Ask for a line; it is empty when there will be no more."""
        if self._ended:
            return ""
        sys.stdout.write(prompt)
        sys.stdout.flush()
        line = await self._lines.get()
        self._ended = line is None
        return line or ""

    def _read(self) -> None:
        # Not `sys.stdin`: a thread that waits within it would hold its lock at the end of Python.
        rest = b""
        with suppress(RuntimeError):  # the loop is closed: the demo is over
            while block := os.read(0, 4096):
                *lines, rest = (rest + block).split(b"\n")
                for line in lines:
                    self._put(line.decode(errors="replace"))
            self._put(None)

    def _put(self, line: str | None) -> None:
        self._loop.call_soon_threadsafe(self._lines.put_nowait, line)
