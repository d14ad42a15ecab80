"""Where `nexus doctor` checks what keeps others out: settings, chosen secrets, private files."""

import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nexus.cli.errors import Failed
from nexus.domain.findings import Finding

if TYPE_CHECKING:
    from nexus.settings import Settings

PRIVATE_FILES = ("signing.key", "pepper.key", "admin-credentials.json", "audit-anchor.json")
_ANYBODY = 0o077
_NEWEST = 10_000


def settings(config: Path | None, data_dir: Path | None) -> tuple["Settings | None", Finding]:
    """Check that the settings can be read; return them too, None where they cannot."""
    from nexus import settings_file
    from nexus.settings import SettingsError, load_settings

    try:
        found = load_settings(config=config, data_dir=data_dir)
        found.refuse_misplaced_tokens()
        path = settings_file.find(config)
    except SettingsError as error:
        fix = "mend it where it is set: option, environment or file; docs/configuration.md has all"
        return None, Finding(check="settings", status="fail", found=str(error), fix=fix)
    where = "environment and defaults" if path is None else f"environment and {path}"
    return found, Finding(check="settings", status="ok", found=f"from {where}")


def secrets(settings: "Settings") -> Finding:
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


def private_files(settings: "Settings") -> Iterator[Finding]:
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
    from nexus.keys import load_signing_keys, read_admin_credentials, read_pepper
    from nexus.store import DataDirError

    try:
        if (folder / "signing.key").is_file():
            load_signing_keys(folder)
        if (folder / "pepper.key").is_file():
            read_pepper(folder / "pepper.key")
        read_admin_credentials(folder)
    except DataDirError as error:
        return Finding(check="keys", status="fail", found=str(error), fix="restore a backup")
    return Finding(check="keys", status="ok", found="whole, and for their owner only")


def audit_log(settings: "Settings") -> Iterator[Finding]:
    """Check that nobody meddled with the newest entries; in a database on this machine alone."""
    from nexus.cli.audit import problems_of, verdicts
    from nexus.store import StoreError

    needed = (settings.database_path, settings.data_dir / "pepper.key")
    if settings.database_url is not None or not all(path.is_file() for path in needed):
        return
    try:
        found = verdicts(settings, newest=_NEWEST)
    except StoreError as error:
        yield Finding(
            check="audit log", status="fail", found=str(error), fix="restore a backup of the file"
        )
    except Failed:
        return  # of an older schema; the check of that says what to do
    else:
        yield _untouched([problem for verdict in found for problem in problems_of(verdict)])


def _untouched(problems: list[str]) -> Finding:
    if not problems:
        found = f"whole, as far as its {_NEWEST:,} newest entries go"
        return Finding(check="audit log", status="ok", found=found)
    return Finding(
        check="audit log",
        status="fail",
        found=f"{problems[0]}, and {len(problems) - 1} more" if problems[1:] else problems[0],
        fix="see `nexus audit verify`; after a restored backup, --accept",
    )
