"""Where it is found out on what was measured: figures mean nothing without it."""

import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from bench.processes import ROOT
from bench.rivals.brokers import versions

LIBRARIES = (
    "oblivion-sdk",
    "oblivion-nexus",
    "aiohttp",
    "celery",
    "fastapi",
    "httpx2",
    "orjson",
    "picows",
    "procrastinate",
    "pydantic",
    "python-engineio",
    "python-socketio",
    "redis",
    "saq",
    "sqlalchemy",
    "starlette",
    "taskiq",
    "taskiq-redis",
    "uvicorn",
    "uvloop",
    "websockets",
)
_SYNCS = 50


def describe() -> dict[str, Any]:
    """Return what the results keep of machine and software."""
    return {
        "cpu": _cpu(),
        "cores": _cores(),
        "memoryGiB": round(psutil.virtual_memory().total / 2**30, 1),
        "fsyncMs": round(_fsync_ms(), 2),
        "os": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
        "brokers": versions(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "commit": _commit(),
    }


def load_average() -> list[float]:
    """Return how many processes wanted to run, over the last 1, 5 and 15 minutes."""
    return [round(value, 2) for value in psutil.getloadavg()]


def _cpu() -> str:
    known = Path("/proc/cpuinfo")
    if known.exists():
        for line in known.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _fsync_ms() -> float:
    """Return the median time of writing a page for good, where Nexus will have its data."""
    times = []
    with tempfile.TemporaryFile() as file:
        for _ in range(_SYNCS):
            file.write(b"\0" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit, with ``+`` when files differ from it; None outside of git."""
    head = _git("rev-parse", "--short=10", "HEAD")
    if head is None:
        return None
    return head + ("+" if _git("status", "--porcelain") else "")


def _git(*arguments: str) -> str | None:
    if shutil.which("git") is None:
        return None
    ran = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return ran.stdout.strip() if ran.returncode == 0 else None
