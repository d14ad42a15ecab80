"""Where it is said what a check has found: on this machine, in the settings, in other services."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found, and what to do when that is not well."""

    check: str
    status: Status
    found: str
    fix: str | None = None

    def document(self) -> dict[str, str | None]:
        """Return the finding as JSON shows it."""
        return dict(vars(self))


def audit_log(problems: Sequence[str], newest: int) -> Finding:
    """Return what a look at so many of the audit log's ``newest`` entries has found."""
    if not problems:
        found = f"whole, as far as its {newest:,} newest entries go"
        return Finding(check="audit log", status="ok", found=found)
    return Finding(
        check="audit log",
        status="fail",
        found=f"{problems[0]}, and {len(problems) - 1} more" if problems[1:] else problems[0],
        fix="see `nexus audit verify`; after a restored backup, --accept",
    )
