"""Where the demo listens to whoever sits at the keyboard."""

import asyncio
import os
import sys
import threading
from contextlib import suppress


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
