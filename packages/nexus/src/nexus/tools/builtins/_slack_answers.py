"""Where Slack's refusals are understood: how long to wait, and what to tell the agent. Pure.

https://docs.slack.dev/apis/web-api/rate-limits
"""

from collections.abc import Mapping
from typing import Any

from slack_sdk.errors import SlackApiError

from nexus.tools.builtins._outcomes import unknown
from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode

_MINUTE = 60.0
_TOKEN = frozenset(
    {
        "account_inactive",
        "invalid_auth",
        "missing_scope",
        "not_authed",
        "token_expired",
        "token_revoked",
    }
)
_TROUBLE = frozenset(
    {
        "fatal_error",
        "internal_error",
        "request_timeout",
        "service_unavailable",
        "team_added_to_org",
    }
)
"""Slack's own; of some it says that part of what was asked may have been done."""

_SAID = {
    "channel_not_found": "Slack finds no such channel, or the app may not see it",
    "is_archived": "the channel is archived",
    "message_not_found": "Slack finds no such message",
    "not_in_channel": "the app is not in this channel; somebody there must invite it",
    "thread_not_found": "Slack finds no such thread",
}


def code_of(error: SlackApiError) -> str:
    """Return Slack's word for why it refused; empty where its answer is none."""
    data = getattr(error.response, "data", None)
    return str(data.get("error") or "") if isinstance(data, dict) else ""


def pause_after(error: SlackApiError) -> float | None:
    """Return in how many seconds Slack takes the call; None if it is no matter of time."""
    if _status(error) != 429 and code_of(error) not in {"ratelimited", "rate_limited"}:
        return None
    headers: Mapping[str, Any] = getattr(error.response, "headers", {})
    after = {name.lower(): str(value) for name, value in headers.items()}.get("retry-after", "")
    return float(after) if after.isdecimal() else _MINUTE


def told(error: SlackApiError, method: str, *, writes: bool) -> ToolError:
    """Return what an agent is told; ``writes`` says that the call was to change something."""
    pause, code = pause_after(error), code_of(error)
    if pause is not None:
        return ToolError(f"Slack's rate limit is reached; try again in {pause:.0f} s")
    if code in _TOKEN:
        said = f"Slack does not take the token that Nexus has ({code}); an admin must see to it"
        return ToolError(said, ToolCode.TOOL_UNAVAILABLE)
    if not code or code in _TROUBLE or _status(error) >= 500:
        what = f"Slack is in trouble ({code or _status(error)})"
        return unknown(what) if writes else ToolError(f"{what}; try again later")
    return ToolError(_SAID.get(code, f"Slack refused {method}: {code[:100]}"))


def _status(error: SlackApiError) -> int:
    response: Any = error.response
    return int(getattr(response, "status_code", 0) or getattr(response, "status", 0))
