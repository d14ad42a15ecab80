"""Where GitHub's refusals are understood: how long to wait, and what to tell the agent. Pure.

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from collections.abc import Mapping

import gidgethub

from nexus.tools.builtins._outcomes import unknown
from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode

_MINUTE = 60.0
_LIMITED = frozenset({403, 429})


def pause_after(error: gidgethub.HTTPException, now: float) -> float | None:
    """Return in how many seconds GitHub takes the request; None if it is no matter of time.

    ``now`` is in seconds since the epoch.
    """
    if error.status_code not in _LIMITED:
        return None
    headers = {name.lower(): value for name, value in error.headers.items()}
    after = _number(headers, "retry-after")
    if after is not None:
        return after
    if headers.get("x-ratelimit-remaining") == "0":
        return max(1.0, (_number(headers, "x-ratelimit-reset") or now + _MINUTE) - now)
    return _MINUTE if error.status_code == 429 or "rate limit" in str(error).lower() else None


def _number(headers: Mapping[str, str], name: str) -> float | None:
    value = headers.get(name, "")
    return float(value) if value.isdecimal() else None


def told(error: gidgethub.GitHubException, now: float, *, writes: bool) -> ToolError:
    """Return what an agent is told; ``writes`` says that the request was to change something."""
    if not isinstance(error, gidgethub.HTTPException):
        return ToolError(f"GitHub's answer cannot be read: {error}")
    pause = pause_after(error, now)
    status = int(error.status_code)
    if pause is not None:
        return ToolError(f"GitHub's rate limit is reached; try again in {pause:.0f} s")
    if status >= 500:
        return _broken(status, writes=writes)
    if status == 401:
        said = "GitHub does not take the token that Nexus has; an admin must replace it"
        return ToolError(said, ToolCode.TOOL_UNAVAILABLE)
    if 300 <= status < 400:
        return ToolError("the repository has moved; use its new name")
    return ToolError(f"{_refused(status)} ({status}): {error}")


def _refused(status: int) -> str:
    if status == 404:
        return "GitHub finds no such thing, or its token may not see it"
    return "GitHub's token may not do this" if status == 403 else "GitHub refuses"


def _broken(status: int, *, writes: bool) -> ToolError:
    if writes:
        return unknown(f"GitHub failed ({status})")
    return ToolError(f"GitHub failed ({status}); try again later")
