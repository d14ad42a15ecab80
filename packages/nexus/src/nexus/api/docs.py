"""Where the API describes itself: OpenAPI 3.1 at ``/api-json``, offline Swagger UI at ``/api``."""

import base64
import hashlib
import re
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from starlette.responses import HTMLResponse

from nexus.api.door import IDEMPOTENCY_KEY
from oblivion.protocol import Problem

OPENAPI_URL = "/api-json"
_ASSETS_URL = "/api/assets"
_UNKEYED = "/auth/token"

_ANY = {
    400: "The request cannot be read",
    413: "The body is too large",
    415: "The body is not said to be JSON, or is compressed",
    422: "The request is wrong; `errors` say where",
    500: "Nexus failed",
    503: "Nexus cannot do this right now; `Retry-After` says when to try again",
}
_OF_CALLERS = {
    401: "The caller did not prove who it is",
    403: "The caller is known, but may not do this",
    404: "There is no such thing, or it is another tenant's",
    409: "The state does not allow it",
}
_OF_GUESSES = {429: "Too many wrong secrets; `Retry-After` says when to try again"}

PROBLEM: dict[int | str, dict[str, Any]] = {
    status: {"description": says, "model": Problem}
    for status, says in (_ANY | _OF_CALLERS | _OF_GUESSES).items()
}
"""What operations may answer; :func:`install` leaves to each what it can."""

_KEY_PARAMETER = {
    "name": IDEMPOTENCY_KEY,
    "in": "header",
    "required": False,
    "description": "Sent again with the same key and body, the first answer comes again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def install(api: FastAPI) -> None:
    """Serve the description and the page that shows it."""
    assets = str(files("fastapi_offline") / "static")
    api.mount(_ASSETS_URL, StaticFiles(directory=assets), name="assets")
    api.add_route("/api", _page, include_in_schema=False)
    describe = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            _complete(describe())
        return describe()

    api.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


async def _page(_request: object) -> HTMLResponse:
    page = get_swagger_ui_html(
        openapi_url=OPENAPI_URL,
        title="Nexus API",
        swagger_js_url=f"{_ASSETS_URL}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS_URL}/swagger-ui.css",
        swagger_favicon_url="data:,",
        swagger_ui_parameters={"validatorUrl": None},  # it would ask a server elsewhere
    )
    page.headers["Content-Security-Policy"] = _policy(bytes(page.body).decode())
    return page


def _policy(page: str) -> str:
    """Return what the page may do: load from here, run its own scripts, and be framed by nobody."""
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(code.encode()).digest()) for code in scripts]
    own = " ".join(f"'sha256-{digest.decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src 'self' {own}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _complete(description: dict[str, Any]) -> None:
    """Add what FastAPI cannot know: the key that every POST takes, and which problems are where."""
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if method == "post" and path != _UNKEYED and "webhooks" not in operation["tags"]:
                operation.setdefault("parameters", []).append(_KEY_PARAMETER)
            operation["responses"] = _possible(operation)


def _possible(operation: dict[str, Any]) -> dict[str, Any]:
    """Return the answers of an operation without those that it never gives."""
    tags = operation.get("tags", [])
    never = set() if "auth" in tags else set(_OF_GUESSES)
    if "webhooks" in tags:
        never |= {403, 409, 422}
    if "health" in tags:
        never |= set(_OF_CALLERS)
    answers = {
        status: answer
        for status, answer in operation["responses"].items()
        if status not in {str(status) for status in never}
    }
    for answer in answers.values():
        _mark_as_problem(answer)
    return answers


def _mark_as_problem(answer: dict[str, Any]) -> None:
    content = answer.get("content", {})
    shape = content.get("application/json", {}).get("schema", {})
    if shape.get("$ref", "").endswith("/Problem"):
        content["application/problem+json"] = content.pop("application/json")
