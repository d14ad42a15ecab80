"""Where it is read what Slack answered instead of doing what was asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slack_sdk.errors import SlackApiError


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What Slack, or whatever stands before it, answered instead of doing what was asked."""

    status: int
    code: str
    needed: str
    headers: Mapping[str, str]

    @classmethod
    def of(cls, error: SlackApiError) -> "Answer":
        """Read it; where it is no JSON, the library keeps another object in its place."""
        response: Any = error.response
        data = getattr(response, "data", None)
        said = data if isinstance(data, dict) else {}
        return cls(
            status=getattr(response, "status_code", 0) or getattr(response, "status", 0),
            code=str(said.get("error") or ""),
            needed=str(said.get("needed") or ""),
            headers=getattr(response, "headers", {}),
        )
