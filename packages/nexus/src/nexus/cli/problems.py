"""Where refusals of the server become one clear line with an exit code."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx2

from nexus.cli.errors import BadUsage, CliError, Failed, NotReachable

_USER_CAN_CORRECT = frozenset({400, 401, 403, 413, 415, 422})
_COME_BACK_LATER = frozenset({429, 503})


def refusal(response: httpx2.Response) -> CliError:
    """Return the error that an answer of status 300 or more means."""
    status = response.status_code
    if response.is_redirect:
        target = response.headers.get("location", "elsewhere")
        return BadUsage(f"{response.url.host} redirects to {target}; put the new address in --url")
    problem = _problem(response)
    if problem is None:
        return _not_nexus(response)
    line = _line(problem, status)
    if status in _USER_CAN_CORRECT:
        return BadUsage(line)
    if status in _COME_BACK_LATER:
        return NotReachable(f"{line}; try again later")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Failed(f"Nexus failed: {line}; its log says more")
    return Failed(line)


def refused_credentials(response: httpx2.Response, source: str) -> CliError:
    """Return the error that an answer of the token endpoint means (RFC 6749, section 5.2)."""
    answer = _object(response)
    code = answer.get("error") if answer else None
    if not isinstance(code, str) or response.status_code not in _USER_CAN_CORRECT:
        return refusal(response)
    why = _text(answer or {}, "error_description") or code
    return BadUsage(f"Nexus refuses the credentials from {source}: {why}")


def unreachable(url: str, error: httpx2.HTTPError) -> NotReachable:
    """Return the error for a request that got no answer."""
    if isinstance(error, httpx2.TimeoutException):
        return NotReachable(f"Nexus at {url} did not answer in time; is it overloaded?")
    why = str(error) or type(error).__name__
    return NotReachable(
        f"no Nexus answers at {url} ({why}); start it with `nexus serve`, or give its --url"
    )


def _not_nexus(response: httpx2.Response) -> CliError:
    what = f"{response.request.method} {response.url.path} got HTTP {response.status_code}"
    if response.status_code in {502, 503, 504}:
        return NotReachable(f"no Nexus behind {response.url.host} ({what}); try again later")
    if response.is_server_error:
        return Failed(f"{response.url.host} failed ({what}); its log says more")
    return BadUsage(f"{response.url.host} does not answer as Nexus does ({what}); check --url")


def _problem(response: httpx2.Response) -> dict[str, Any] | None:
    answer = _object(response)
    known = {"code", "detail", "title", "error"}
    return answer if answer is not None and known & answer.keys() else None


def _object(response: httpx2.Response) -> dict[str, Any] | None:
    try:
        answer = response.json()
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _line(problem: Mapping[str, Any], status: int) -> str:
    """Return which fields are wrong and why; where no field is, what the server says as a whole."""
    fields = [_field(entry) for entry in problem.get("errors") or ()]
    named = ("detail", "title", "error_description", "error")
    said = next(filter(None, (_text(problem, name) for name in named)), "")
    line = "; ".join(filter(None, fields)) or said or f"HTTP {status}"
    return " ".join(line.split())


def _field(entry: Any) -> str:
    if not isinstance(entry, Mapping):
        return ""
    name = _text(entry, "pointer").lstrip("#").strip("/").replace("/", ".")
    return f"{name}: {_text(entry, 'detail')}" if name else _text(entry, "detail")


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    return value if isinstance(value, str) else ""
