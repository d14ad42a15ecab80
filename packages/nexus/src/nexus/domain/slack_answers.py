"""Where it is read what Slack answered instead of doing what was asked, and what that means.

https://docs.slack.dev/apis/web-api/rate-limits
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_PAUSE_S = 30

_SHUT_OUT = frozenset(
    {
        "account_inactive",
        "app_missing_action_url",
        "invalid_auth",
        "not_authed",
        "org_login_required",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
    }
)
_LATER = frozenset({"ratelimited", "rate_limited"})
_TROUBLE = frozenset(
    {
        "fatal_error",
        "internal_error",
        "request_timeout",
        "service_unavailable",
        "team_added_to_org",
    }
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What Slack, or whatever stands before it, answered instead of doing what was asked."""

    status: int
    code: str
    needed: str
    headers: Mapping[str, str]

    @classmethod
    def of(cls, error: Any) -> "Answer":
        """Read a ``SlackApiError``; where the answer is no JSON, another object is in its place."""
        response = error.response
        data = getattr(response, "data", None)
        said = data if isinstance(data, dict) else {}
        return cls(
            status=int(getattr(response, "status_code", 0) or getattr(response, "status", 0)),
            code=str(said.get("error") or ""),
            needed=str(said.get("needed") or ""),
            headers=getattr(response, "headers", {}),
        )

    @property
    def pause_s(self) -> int | None:
        """In how many seconds Slack takes the call; None if it is no matter of time."""
        if self.status != 429 and self.code not in _LATER:
            return None
        named = {name.lower(): str(value) for name, value in self.headers.items()}
        after = named.get("retry-after", "")
        return int(after) if after.isdecimal() else DEFAULT_PAUSE_S

    @property
    def is_shut_out(self) -> bool:
        """Whether nothing works any more until somebody sees to the token."""
        return self.code in _SHUT_OUT

    @property
    def is_trouble(self) -> bool:
        """Whether it is Slack's own; of some it says that part of the call may have been done."""
        return not self.code or self.code in _TROUBLE or self.status >= 500
