"""Where tests of the command line get its runs, a server process, and a peer that meddles."""

import contextlib
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from unittest.mock import patch

import httpx2

from nexus.cli.root import run

DEADLINE_S = 45.0
_OWN_VARIABLES = ("NEXUS_", "DATABASE_URL", "FORCE_COLOR", "NO_COLOR", "PORT")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command ended, and what it said where."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The JSON documents on standard output, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def clean_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without what steers Nexus, but with ``more``."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(_OWN_VARIABLES)}
    return {**kept, **more}


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """Runs ``nexus``: in this process where that is enough, else as its own process."""

    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None

    def __call__(self, *arguments: str, stdin: str | bytes = b"", **environment: str) -> Outcome:
        """Run to the end in this process: the same code after a quicker start."""
        streams = _Streams(stdin.encode() if isinstance(stdin, str) else stdin)
        with (
            streams,
            contextlib.chdir(self.cwd or Path.cwd()),
            patch.dict(
                os.environ, clean_environment(**{**self.environment, **environment}), clear=True
            ),
        ):
            code = run(arguments)
        return Outcome(code=code, out=streams.out, err=streams.err)

    def process(self, *arguments: str, stdin: str | bytes = b"", **environment: str) -> Outcome:
        """Run to the end as its own process."""
        return self._run(command_for(arguments), stdin, environment)

    def on_terminal(self, *arguments: str) -> str:
        """Run to the end on a terminal of 80 columns and return what it showed there."""
        ours, theirs = pty.openpty()
        environment = clean_environment(**self.environment, TERM="xterm", COLUMNS="80")
        with subprocess.Popen(
            command_for(arguments),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            cwd=self.cwd,
        ) as process:
            os.close(theirs)
            shown = _read_terminal(ours)
            assert process.wait(DEADLINE_S) == 0, shown
        os.close(ours)
        return shown

    def python(self, program: str) -> Outcome:
        """Run a Python program where the command line would run."""
        return self._run([sys.executable, "-c", program], b"", {})

    def _run(
        self, command: list[str], stdin: str | bytes, environment: Mapping[str, str]
    ) -> Outcome:
        ended = subprocess.run(
            command,
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env=clean_environment(**{**self.environment, **environment}),
            cwd=self.cwd,
            timeout=DEADLINE_S,
            check=False,
        )
        return Outcome(code=ended.returncode, out=ended.stdout.decode(), err=ended.stderr.decode())

    @contextlib.contextmanager
    def running(self, *arguments: str) -> Iterator["Running"]:
        """Run beside the test; what still runs at the end of the block is killed."""
        environment = clean_environment(**self.environment)
        process = Running(command_for(arguments), environment, self.cwd)
        try:
            yield process
        finally:
            process.kill()


def _read_terminal(terminal: int) -> str:
    read = b""
    with contextlib.suppress(OSError):  # what a terminal says when nobody writes any more
        while piece := os.read(terminal, 65536):
            read += piece
    return read.decode()


class _Streams:
    """Standard input, output and error of a run in this process."""

    def __init__(self, stdin: bytes) -> None:
        self._new = [io.TextIOWrapper(io.BytesIO(held), "utf-8") for held in (stdin, b"", b"")]
        self._old = (sys.stdin, sys.stdout, sys.stderr)
        self.out = self.err = ""

    def __enter__(self) -> None:
        sys.stdin, sys.stdout, sys.stderr = self._new

    def __exit__(self, *_: object) -> None:
        sys.stdin, sys.stdout, sys.stderr = self._old
        self.out, self.err = (self._text(stream) for stream in self._new[1:])

    @staticmethod
    def _text(stream: io.TextIOWrapper) -> str:
        stream.seek(0)
        return stream.read()


def command_for(arguments: tuple[str, ...]) -> list[str]:
    """Return the command that runs ``nexus`` with these arguments."""
    return [sys.executable, "-m", "nexus.cli", *arguments]


class Running:
    """A command that runs; what it says is collected line by line."""

    def __init__(
        self, command: list[str], environment: Mapping[str, str], cwd: Path | None
    ) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(environment),
            cwd=cwd,
        )
        streams = ((self._process.stdout, self.out), (self._process.stderr, self.err))
        self._readers = [
            threading.Thread(target=_collect, args=(stream, target), daemon=True)
            for stream, target in streams
        ]
        for reader in self._readers:
            reader.start()

    def interrupt(self) -> Outcome:
        """Press Ctrl-C and return how the command ended."""
        self._process.send_signal(signal.SIGINT)
        return self.end()

    def end(self) -> Outcome:
        """Wait for the end."""
        code = self._process.wait(DEADLINE_S)
        for reader in self._readers:
            reader.join(DEADLINE_S)
        return Outcome(code=code, out="".join(self.out), err="".join(self.err))

    def terminate(self) -> Outcome:
        """Ask the process to end, and return how it did."""
        self._process.terminate()
        return self.end()

    def kill(self) -> None:
        """End the process without asking, if it runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(DEADLINE_S)
        for reader in self._readers:
            reader.join(DEADLINE_S)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def until(self, happened: Callable[["Running"], Any]) -> None:
        """Wait until ``happened`` is true; fails when the process ends or the deadline passes."""
        wait_until(lambda: happened(self) or self._process.poll() is not None)
        assert happened(self), f"out: {''.join(self.out)}\nerr: {''.join(self.err)}"


def _collect(stream: Iterable[str], target: list[str]) -> None:
    for line in stream:
        target.append(line)  # noqa: PERF402 - line by line, while the test looks on


def wait_until(happened: Callable[[], Any]) -> None:
    """Wait until ``happened`` returns something true; fails after the deadline."""
    ends = monotonic() + DEADLINE_S
    while not happened():
        assert monotonic() < ends, "it never happened"
        sleep(0.02)


class ServerProcess:
    """``nexus serve`` in a data folder; started again it takes the same port."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.extra: dict[str, str] = {}
        self.url = ""
        self._stack = contextlib.ExitStack()
        self._port = "0"
        self.running: Running | None = None

    def start(self) -> "ServerProcess":
        """Start it and wait until it answers."""
        command = ("serve", "--port", self._port, "--data-dir", str(self.data_dir))
        self.running = self._stack.enter_context(
            CommandLine(environment=self.extra).running(*command)
        )
        self.running.until(lambda process: "Ctrl-C" in "".join(process.out))
        found = re.search(r"answers at (http://localhost:(\d+))", "".join(self.running.out))
        assert found, self.running.out
        self.url, self._port = found[1], found[2]
        return self

    def stop(self) -> Outcome:
        """Stop it as an operator does."""
        assert self.running is not None
        return self.running.terminate()

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self.running is not None
        self.running.kill()

    def close(self) -> None:
        """Leave no process behind."""
        self._stack.close()

    @property
    def environment(self) -> dict[str, str]:
        """What makes the command line its client."""
        return {"NEXUS_URL": self.url, "NEXUS_DATA_DIR": str(self.data_dir)}


def has_token(url: str, client_id: str, secret: str) -> bool:
    """Say whether a client gets a token with this secret."""
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": secret,
    }
    return httpx2.post(f"{url}/auth/token", data=form).is_success


@dataclass(frozen=True, kw_only=True)
class Team:
    """A group with an agent and a claiming project, under names that no other test uses."""

    group: str
    project: str
    agent: str
    secret: str
