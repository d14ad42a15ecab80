"""Where `nexus doctor` checks what the command line alone can: settings, secrets, the log."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nexus.cli.errors import Failed
from nexus.domain import findings
from nexus.domain.findings import Finding

if TYPE_CHECKING:
    from nexus.services.sealing import SealingKeys
    from nexus.settings import Settings

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
        yield findings.audit_log(
            [problem for verdict in found for problem in problems_of(verdict)], _NEWEST
        )


def sealed_secrets(settings: "Settings") -> Iterator[Finding]:
    """Check that the secrets of tools, where there are some, open with the keys at hand."""
    from nexus.domain.errors import Conflict
    from nexus.sealing_keys import SealingKeyFile
    from nexus.services import vault
    from nexus.store import StoreError

    try:
        keys = SealingKeyFile(settings.data_dir, settings.sealing_secrets).read()
        number, problems = _unopened(settings, keys)
    except StoreError:
        return  # the check of the database says what to do
    except Conflict as error:
        number, problems = 0, [error.message]
    if problems:
        more = f", and {len(problems) - 1} more of {number}" if problems[1:] else ""
        found = f"{problems[0]}{more}"
        yield Finding(check="tool secrets", status="fail", found=found, fix=vault.MEND)
    elif number:
        yield Finding(check="tool secrets", status="ok", found=f"the keys here open all {number}")


def _unopened(settings: "Settings", keys: "SealingKeys | None") -> tuple[int, list[str]]:
    from nexus.services import vault
    from nexus.store import Tx, open_database
    from nexus.store.clock import wall_clock

    if settings.database_url is None and not settings.database_path.is_file():
        return 0, []
    with contextlib.closing(open_database(settings.database)) as database:
        if database.version() != database.newest_version():
            return 0, []  # the check of the schema says what to do
        with database.reader.begin() as connection:
            return vault.unopened(Tx(connection, wall_clock()), keys)
