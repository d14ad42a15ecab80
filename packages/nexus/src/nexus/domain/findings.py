"""Where it is said what a check has found: on this machine, in the settings, in other services."""

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
