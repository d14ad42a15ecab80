"""Where the demo's processes are started, watched, and ended without exception."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from nexus.demo import leash
from nexus.demo.errors import DemoFailed

_GRACE_S = 3.0
_STEERING = ("NEXUS_", "OBLIVION_", "CODE_REVIEW_")
_STEERING_NAMES = frozenset({"PORT", "LOG_LEVEL"})


@dataclass(frozen=True, kw_only=True)
class _Running:
    name: str
    popen: "subprocess.Popen[bytes]"


class Processes:
    """The processes of one demo; their output goes to ``<folder>/<name>.log``.

    Each leads a process group of its own, so that a Ctrl-C in the terminal reaches the demo alone,
    which then ends them in order: leaving the block asks, waits for a bounded time, and kills.
    Should the demo itself be killed, they notice (see :mod:`nexus.demo.leash`).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[_Running] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Deliberately without `await`: nothing can cancel it half-way.
        for running in reversed(self._running):
            _signal(running.popen, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        for running in self._running:
            _end(running.popen, deadline)

    def start(self, name: str, program: Sequence[str], **variables: str) -> Path:
        """Start a Python program, a file or a module with arguments; return its log."""
        log = self.log(name)
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [sys.executable, leash.__file__, *program],
                cwd=self._folder,
                env=_environment(variables),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append(_Running(name=name, popen=popen))
        return log

    def log(self, name: str) -> Path:
        """Return where a process writes."""
        return self._folder / f"{name}.log"

    def check(self) -> None:
        """See that all are alive.

        Raises:
            DemoFailed: one has ended.
        """
        for running in self._running:
            code = running.popen.poll()
            if code is not None:
                raise DemoFailed(f"the process {running.name} ended with exit code {code}")

    def last_words(self, lines: int = 15) -> str:
        """Return the ends of all logs."""
        parts = []
        for running in self._running:
            log = self.log(running.name)
            said = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
            parts.append("\n".join([f"--- {log}", *said]))
        return "\n".join(parts)


def _environment(variables: dict[str, str]) -> dict[str, str]:
    """Return this environment without what would steer a Nexus or an agent, and ``variables``."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_STEERING) and name not in _STEERING_NAMES
    }
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", **variables}


def _signal(popen: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    if popen.poll() is not None:
        return
    if sys.platform == "win32":
        popen.terminate()
    else:
        os.killpg(popen.pid, number)


def _end(popen: "subprocess.Popen[bytes]", deadline: float) -> None:
    try:
        popen.wait(max(deadline - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired:
        if sys.platform == "win32":
            popen.kill()
        else:
            _signal(popen, signal.SIGKILL)
        popen.wait()
    finally:
        if popen.stdin is not None:
            popen.stdin.close()
