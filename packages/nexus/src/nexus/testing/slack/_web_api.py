"""Where the Web API's door is: tokens, scopes, rates and ordered faults before any method."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from nexus.testing.slack import _chat, _conversations, _who
from nexus.testing.slack._errors import RefusedError
from nexus.testing.slack._faults import (
    CutAfter,
    Fault,
    Faults,
    Hangs,
    HangsAfter,
    RateLimited,
    Refuses,
    ServerFails,
)
from nexus.testing.slack._limits import Buckets, Rules
from nexus.testing.slack._messages import Json
from nexus.testing.slack._methods import METHODS, Arguments, Caller, Method
from nexus.testing.slack._users import App

ROOMS = (_chat, _conversations, _who)
"""Where methods are handled; they register themselves."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of the Web API as it came, and how it ended."""

    method: str
    arguments: Mapping[str, Any]
    at_ms: int
    error: str | None
    """Slack's word for the refusal, or the name of the fault that was ordered."""


class _TooFastError(RefusedError):
    def __init__(self, retry_after_s: int) -> None:
        super().__init__("ratelimited")
        self.retry_after_s = retry_after_s


class WebApi:
    """Answers ``/api/{method}`` as Slack does."""

    def __init__(
        self, caller: Caller, rules: Rules, faults: Faults, changed: Callable[[], None]
    ) -> None:
        self.calls: list[Call] = []
        self._caller = caller
        self._rules = rules
        self._faults = faults
        self._buckets = Buckets()
        self._changed = changed

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a call, or fail it as it was ordered."""
        name = request.match_info["method"]
        needs = METHODS.get(name)
        try:
            arguments = await _arguments(request, needs)
        except RefusedError as refusal:
            return web.json_response({"ok": False, "error": refusal.error})
        fault = self._faults.take(name)
        if fault is not None and not isinstance(fault, CutAfter | HangsAfter):
            self._note(name, arguments, type(fault).__name__)
            return await _failed(request, fault)
        answer = self._answer(name, needs, arguments, _token(request, arguments))
        if isinstance(fault, HangsAfter):
            await asyncio.Event().wait()
        return _cut(request) if fault is not None else answer

    def _note(self, name: str, arguments: Arguments, error: str | None) -> None:
        given = {key: value for key, value in arguments.given.items() if key != "token"}
        now = self._caller.workspace.time.now()
        self.calls.append(Call(method=name, arguments=given, at_ms=now, error=error))
        self._changed()

    def _answer(
        self, name: str, needs: Method | None, arguments: Arguments, token: str
    ) -> web.Response:
        answer: Json
        headers, status = self._headers(needs), 200
        try:
            answer = {"ok": True, **self._handled(name, needs, arguments, token)}
        except _TooFastError as refusal:
            answer, status = {"ok": False, "error": refusal.error}, 429
            headers["Retry-After"] = str(refusal.retry_after_s)
        except RefusedError as refusal:
            answer = {"ok": False, "error": refusal.error, **refusal.details}
        self._note(name, arguments, answer.get("error"))
        return web.json_response(answer, status=status, headers=headers)

    def _headers(self, needs: Method | None) -> dict[str, str]:
        headers = {"X-OAuth-Scopes": ",".join(sorted(self._caller.app.scopes))}
        if needs is not None and needs.scopes:
            headers["X-Accepted-OAuth-Scopes"] = ",".join(needs.scopes)
        return headers

    def _handled(self, name: str, needs: Method | None, arguments: Arguments, token: str) -> Json:
        if needs is None:
            raise RefusedError("unknown_method", req_method=name)
        if needs.token:
            _check_token(self._caller.app, token, needs.token)
        if needs.scopes:
            self._caller.need(*needs.scopes)
        if self._rules.paced:
            self._pace(name, needs, arguments)
        missing = [one for one in needs.required if not arguments.text(one)]
        if missing:
            messages = [f"[ERROR] missing required field: {one}" for one in missing]
            raise RefusedError("invalid_arguments", response_metadata={"messages": messages})
        return needs.handle(self._caller, arguments)

    def _pace(self, name: str, needs: Method, arguments: Arguments) -> None:
        now = self._caller.workspace.time.now()
        per_s = needs.per_minute / 60
        wait_s = self._buckets.take(name, now, holds=needs.per_minute, per_s=per_s)
        if not wait_s and name == "chat.postMessage":
            key = f"{name} {arguments.text('channel')}"
            rate, burst = self._rules.posts_per_s, self._rules.posts_burst
            wait_s = self._buckets.take(key, now, holds=burst, per_s=rate)
        if wait_s:
            raise _TooFastError(wait_s)


def _check_token(app: App, token: str, kind: str) -> None:
    if not token:
        raise RefusedError("not_authed")
    if token not in {app.bot_token, app.app_token}:
        raise RefusedError("invalid_auth")
    if app.token_error is not None:
        raise RefusedError(app.token_error)
    if not token.startswith(kind):
        raise RefusedError("not_allowed_token_type")


def _token(request: web.Request, arguments: Arguments) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else arguments.text("token")


async def _arguments(request: web.Request, needs: Method | None) -> Arguments:
    """Read the arguments from the query and from the body, if it is one that Slack reads."""
    given: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        if needs is None or needs.takes_json:
            given |= _from_json(await request.read())
    elif request.method == "POST":
        given |= dict(await request.post())
    return Arguments(given)


def _from_json(content: bytes) -> Json:
    try:
        body = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        raise RefusedError("invalid_json") from None
    if not isinstance(body, dict):
        raise RefusedError("json_not_object")
    return body


async def _failed(request: web.Request, fault: Fault) -> web.StreamResponse:
    match fault:
        case RateLimited(retry_after_s=seconds):
            refusal = {"ok": False, "error": "ratelimited"}
            return web.json_response(refusal, status=429, headers={"Retry-After": str(seconds)})
        case ServerFails(status=status):
            page = "<html><body>Slack could not do that.</body></html>"
            return web.Response(status=status, text=page, content_type="text/html")
        case Refuses(error=error):
            return web.json_response({"ok": False, "error": error})
        case Hangs():
            await asyncio.Event().wait()
    return _cut(request)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
