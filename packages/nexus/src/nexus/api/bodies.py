"""Where bodies are read: strict JSON, of bounded depth, without what databases refuse."""

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

from nexus.api.refusals import BadJson, UnsupportedMediaType
from nexus.domain.json_values import MAX_DEPTH, is_too_deep, may_hold_nul, refuse_nul


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON text (RFC 8259): UTF-8, no NaN, at most 64 levels deep.

    Raises:
        BadJson: it is none, or nested deeper.
        Invalid: it holds a text with NUL characters.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadJson(f"the body is not valid JSON: {error}") from error
    if is_too_deep(value, body):
        raise BadJson(f"the body is nested deeper than {MAX_DEPTH} levels")
    if may_hold_nul(body):
        refuse_nul(value)
    return value


class _JsonRequest(Request):
    """A request whose body has been read and understood."""

    def __init__(self, request: Request, value: Any, body: bytes) -> None:
        super().__init__(request.scope, request.receive)
        self._body = body
        self._json = value


class JsonRoute(APIRoute):
    """A route that takes JSON and nothing else."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler behind our reader; FastAPI's own takes NaN and any depth."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def read_then_handle(request: Request) -> Response:
            body = await request.body()
            if not body:
                return await handle(request)
            require_json(request)
            return await handle(_JsonRequest(request, parse_json(body), body))

        return read_then_handle


def require_json(request: Request) -> None:
    """Refuse a body that is not said to be JSON.

    Raises:
        UnsupportedMediaType: it is said to be something else, or nothing.
    """
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said != "application/json" and not (
        said.startswith("application/") and said.endswith("+json")
    ):
        raise UnsupportedMediaType(
            f"the body is said to be {said or 'nothing'}; send JSON with "
            "Content-Type: application/json"
        )
