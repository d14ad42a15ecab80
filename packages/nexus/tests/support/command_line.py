"""Where tests of the command line get its runs, a server process, and a peer that meddles."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from unittest.mock import patch

import httpx

from nexus.cli.root import run

DEADLINE_S = 20.0
_OWN_VARIABLES = ("NEXUS_", "FORCE_COLOR", "NO_COLOR", "PORT")


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

    def close(self) -> None:
        """Leave no process behind."""
        self._stack.close()

    @property
    def environment(self) -> dict[str, str]:
        """What makes the command line its client."""
        return {"NEXUS_URL": self.url, "NEXUS_DATA_DIR": str(self.data_dir)}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a peer was asked."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a peer says; None in place of it cuts the connection."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Peer:
    """A server that answers as the test says, and keeps what it was asked."""

    def __init__(self, answer: Callable[[Request], Answer | None]) -> None:
        self.requests: list[Request] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                request = Request(
                    method=self.command,
                    path=self.path,
                    headers=dict(self.headers),
                    body=self.rfile.read(length),
                )
                peer.requests.append(request)
                said = answer(request)
                if said is None:
                    self.close_connection = True
                    return
                self._write(said)

            def _write(self, said: Answer) -> None:
                body = b"" if said.body is None else _bytes(said.body)
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = do_PATCH = _serve  # noqa: N815 - the library's names

            def log_message(self, format: str, *args: Any) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()
        self.url = f"http://localhost:{self._server.server_address[1]}"

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE_S)


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


@contextlib.contextmanager
def peer(answer: Callable[[Request], Answer | None]) -> Iterator[Peer]:
    """Run a peer until the block ends."""
    made = Peer(answer)
    try:
        yield made
    finally:
        made.close()


TOKEN = Answer(body={"access_token": "t", "token_type": "Bearer", "expires_in": 900})


def forwarding(url: str) -> Callable[[Request], Answer]:
    """Return the answer of a proxy: what ``url`` says to the same request."""

    def forward(request: Request) -> Answer:
        dropped = {"host", "content-length", "connection", "accept-encoding"}
        headers = {n: v for n, v in request.headers.items() if n.lower() not in dropped}
        got = httpx.request(
            request.method, url + request.path, headers=headers, content=request.body, timeout=60
        )
        passed = {n: v for n, v in got.headers.items() if n.lower() not in dropped}
        return Answer(status=got.status_code, body=got.content, headers=passed)

    return forward


@dataclass(frozen=True, kw_only=True)
class Team:
    """A group with an agent and a claiming project, under names that no other test uses."""

    group: str
    project: str
    agent: str
    secret: str
