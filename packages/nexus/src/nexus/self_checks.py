"""Where an installation checks itself: its Python, its data folder, its secrets, its schema.

`nexus doctor` shows the findings on the command line, the Observer on its page of health.
"""

import os
import platform
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from nexus.domain.findings import Finding, Status
from nexus.keys import load_signing_keys, read_admin_credentials, read_pepper
from nexus.settings import Settings
from nexus.store import Database, DataDirError

OLDEST_PYTHON = (3, 11)
PRIVATE_FILES = (
    *("signing.key", "pepper.key", "secrets.key"),
    *("admin-credentials.json", "audit-anchor.json"),
)
_ANYBODY = 0o077
_MIB = 1024 * 1024
_LITTLE_ROOM = 1024 * _MIB
_NO_ROOM = 32 * _MIB


def examine(settings: Settings, database: Database) -> list[Finding]:
    """Check the installation of a Nexus that runs; its database is at work, and left alone.

    It takes some milliseconds, and is not for the event loop.
    """
    return [
        python(),
        secrets(settings),
        data_folder(settings.data_dir),
        *disk(settings.data_dir),
        *private_files(settings),
        Finding(check="database", status="ok", found=database.name),
    ]


def python() -> Finding:
    """Check that this Python is new enough."""
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        fix = f"install Python {'.'.join(map(str, OLDEST_PYTHON))} or newer"
        return Finding(check="python", status="fail", found=found, fix=fix)
    return Finding(check="python", status="ok", found=found)


def data_folder(path: Path) -> Finding:
    """Check that the data folder can be written."""
    name = "data folder"
    shown = str(path.resolve())
    if not path.exists():
        fix = "`nexus serve` makes it; if it should be there, give --data-dir"
        return Finding(check=name, status="warn", found=f"{shown} does not exist", fix=fix)
    if not path.is_dir():
        fix = "choose another one with --data-dir"
        return Finding(check=name, status="fail", found=f"{shown} is no folder", fix=fix)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        fix = "change its owner, or choose another one with --data-dir"
        return Finding(check=name, status="fail", found=f"{shown} is not writable", fix=fix)
    return Finding(check=name, status="ok", found=shown)


def disk(path: Path) -> Iterator[Finding]:
    """Check that there is room for more data; without any, Nexus refuses whatever writes."""
    if not path.is_dir():
        return
    free = shutil.disk_usage(path).free
    found = f"{free // _MIB:,} MiB free"
    if free >= _LITTLE_ROOM:
        yield Finding(check="disk", status="ok", found=found)
        return
    status: Status = "warn" if free >= _NO_ROOM else "fail"
    fix = "make room on the disk of the data folder; Nexus then goes on by itself"
    yield Finding(check="disk", status=status, found=found, fix=fix)


def schema_version(version: str | None, newest: str) -> Finding:
    """Check that the schema is the one that this version of Nexus needs."""
    if version == newest:
        return Finding(check="schema", status="ok", found=f"version {newest}")
    found = f"version {version or 'none'}, this Nexus has {newest}"
    fix = "run `nexus migrate`, or start `nexus serve`"
    return Finding(check="schema", status="warn", found=found, fix=fix)


def secrets(settings: Settings) -> Finding:
    """Check that nobody would guess the secrets that were chosen."""
    weak = [f"{name} {why}" for name, why in settings.weaknesses().items()]
    if not weak:
        return Finding(check="secrets", status="ok", found="none that was chosen is weak")
    return Finding(
        check="secrets",
        status="warn" if settings.dev else "fail",
        found="; ".join(weak),
        fix="make one with `openssl rand -hex 32`; without --dev Nexus does not start with it",
    )


def private_files(settings: Settings) -> Iterator[Finding]:
    """Check that keys and credentials are whole, and for their owner only."""
    folder = settings.data_dir
    if not folder.is_dir():
        return
    there = [folder / name for name in PRIVATE_FILES if (folder / name).is_file()]
    open_ones = [path for path in there if _is_open(path)]
    if open_ones:
        names = " ".join(str(path) for path in open_ones)
        found = f"others on this machine can read {names}"
        yield Finding(check="keys", status="fail", found=found, fix=f"chmod 600 {names}")
    elif there:
        yield _whole(folder)


def _is_open(path: Path) -> bool:
    return sys.platform != "win32" and bool(stat.S_IMODE(path.stat().st_mode) & _ANYBODY)


def _whole(folder: Path) -> Finding:
    try:
        if (folder / "signing.key").is_file():
            load_signing_keys(folder)
        if (folder / "pepper.key").is_file():
            read_pepper(folder / "pepper.key")
        read_admin_credentials(folder)
    except DataDirError as error:
        return Finding(check="keys", status="fail", found=str(error), fix="restore a backup")
    return Finding(check="keys", status="ok", found="whole, and for their owner only")
