"""Where `nexus doctor` checks what the command line alone can: which settings hold, the log."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nexus.cli.errors import Failed
from nexus.domain.findings import Finding

if TYPE_CHECKING:
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
