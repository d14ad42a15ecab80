"""Where refusals become problem details (RFC 9457): every error of the API has this one form."""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nexus.api.answers import Json
from nexus.api.refusals import Compressed
from nexus.domain.errors import (
    Invalid,
    NexusError,
    NotSigned,
    TooManyAttempts,
    Unauthenticated,
    Unavailable,
)
from oblivion.protocol import ErrorCode, FieldProblem, Problem

logger = structlog.get_logger(__name__)

_CODES = {
    400: "bad_request",
    401: ErrorCode.UNAUTHORIZED,
    403: ErrorCode.FORBIDDEN,
    404: ErrorCode.NOT_FOUND,
    405: "method_not_allowed",
    409: ErrorCode.CONFLICT,
    413: "payload_too_large",
    415: "unsupported_media_type",
    422: ErrorCode.INVALID_PAYLOAD,
    429: ErrorCode.RATE_LIMITED,
    503: ErrorCode.UNAVAILABLE,
}

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "there is no such field",
    "model_attributes_type": "must be a JSON object",
    "string_too_short": "must have at least {min_length} character(s)",
    "too_short": "must have at least {min_length} characters or items",
    "too_long": "must have at most {max_length} characters or items",
}
"""Where pydantic speaks to programmers, what we say; by its types of errors."""

_MOST_FIELDS = 50

BASIC = 'Basic realm="nexus", charset="UTF-8"'
"""The challenge to prove oneself with client id and secret (RFC 7617)."""

SIGNATURE = 'Signature realm="nexus"'
"""The challenge to sign a webhook, in the way of the service that it is of."""


def install(api: FastAPI, routes: Iterable[BaseRoute]) -> None:
    """Have every refusal and every failure of ``api`` answered as a problem.

    ``routes`` are those that its routers hold.
    """
    api.state.offered = [
        route for route in (*api.routes, *routes) if isinstance(route, Route) and route.methods
    ]
    api.add_exception_handler(NexusError, _refused)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)


class ProblemResponse(Json):
    """An answer that is a problem."""

    media_type = "application/problem+json"


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem; ``detail`` says what to change."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        errors=list(errors),
    ).to_wire()
    if not errors:
        del body["errors"]
    return ProblemResponse(body, status_code=status, headers=headers)


async def _refused(_request: Request, error: Any) -> Response:
    return refused(error)


def refused(error: NexusError) -> Response:
    """Return a refusal of the services as a problem."""
    fields = error.problems if isinstance(error, Invalid) else ()
    return problem(
        error.status,
        error.code,
        error.message,
        errors=[FieldProblem(pointer=pointer, detail=detail) for pointer, detail in fields],
        headers=_headers(error),
    )


def _headers(error: NexusError) -> dict[str, str]:
    if isinstance(error, (Unavailable, TooManyAttempts)):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, Compressed):
        return {"Accept-Encoding": "identity"}  # RFC 9110, section 15.5.16
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": _challenge(error)}
    return {}


def _challenge(error: Unauthenticated) -> str:
    """RFC 6750, section 3: a caller that sent no token is told no error."""
    if isinstance(error, NotProven):
        return BASIC
    if isinstance(error, NotSigned):
        return SIGNATURE
    if isinstance(error, NoToken):
        return 'Bearer realm="nexus"'
    said = re.sub(r"[^ !#-\[\]-~]", "?", error.message)
    return f'Bearer realm="nexus", error="invalid_token", error_description="{said}"'


class NoToken(Unauthenticated):
    """The caller did not say who it is."""


class NotProven(Unauthenticated):
    """The caller did not prove who it is with HTTP Basic."""


async def _invalid(_request: Request, error: Any) -> Response:
    return invalid(error)


def invalid(error: RequestValidationError) -> Response:
    """Return what does not fit a command's fields as a problem that names each of them."""
    fields = [_field(found) for found in error.errors()]
    first = fields[0]
    more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
    detail = f"{first.pointer or 'the body'}: {first.detail}{more}"
    return problem(422, ErrorCode.INVALID_PAYLOAD, detail, errors=fields[:_MOST_FIELDS])


def _field(found: Mapping[str, Any]) -> FieldProblem:
    """Take over where and what, never the input itself: it may be a secret."""
    where, *path = found["loc"]
    words = _WORDS.get(found["type"])
    plain = str(found["msg"]).removeprefix("Value error, ")
    message = plain if words is None else words.format_map(found.get("ctx", {}))
    if where != "body":
        message = f"{message} (in the {where})"
    return FieldProblem(pointer="".join(f"/{_escaped(part)}" for part in path), detail=message)


def _escaped(part: object) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


async def _http(request: Request, error: Any) -> Response:
    code = _CODES.get(error.status_code, "http_error")
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_offered(request))
    return problem(error.status_code, code, _said(request, error), headers=headers)


def _offered(request: Request) -> list[str]:
    """Return every method of the address; the router names those of one of its routes alone."""
    methods: set[str] = set()
    for route in request.app.state.offered:
        match, _ = route.matches({**request.scope, "method": ""})
        if match is not Match.NONE:
            methods |= route.methods
    return sorted(methods)


def _said(request: Request, error: HTTPException) -> str:
    target = f"{request.method} {request.url.path}"
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"there is no {target}; /api shows what there is"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{target} is not offered; the header Allow says what is"
    return str(error.detail)


class Boundary:
    """The last place an error can reach: it is logged here, and the caller gets no trace of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and answer 500 where the app raises before it answered."""
        started = False

        async def note(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception:
            logger.exception("request_failed", method=scope.get("method"), path=scope.get("path"))
            if scope["type"] != "http" or started:
                raise
            detail = "Nexus failed at this request; its log says why"
            await problem(500, ErrorCode.INTERNAL, detail)(scope, receive, send)
