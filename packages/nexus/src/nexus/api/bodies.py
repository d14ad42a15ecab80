"""Where bodies are read: strict JSON, of bounded depth, without what databases refuse."""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

from nexus.api.refusals import BadJson, UnsupportedMediaType
from nexus.domain.errors import Invalid

MAX_DEPTH = 64


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON text (RFC 8259): UTF-8, no NaN, at most 64 levels deep.

    Raises:
        BadJson: it is none, or nested deeper.
        Invalid: a text in it contains NUL characters.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadJson(f"the body is not valid JSON: {error}") from error
    _check_depth(value)
    if b"\\u0000" in body:
        _refuse_nul(value, "")
    return value


def _check_depth(value: Any) -> None:
    level = _containers([value])
    for _ in range(MAX_DEPTH):
        if not level:
            return
        level = [
            inner
            for outer in level
            for inner in _containers(outer.values() if isinstance(outer, dict) else outer)
        ]
    if level:
        raise BadJson(f"the body is nested deeper than {MAX_DEPTH} levels")


def _containers(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, dict | list)]


def _refuse_nul(value: Any, pointer: str) -> None:
    if isinstance(value, str) and "\x00" in value:
        detail = "must not contain NUL characters"
        raise Invalid(f"{pointer or 'the body'}: {detail}", [(pointer, detail)])
    if isinstance(value, dict):
        for name, child in value.items():
            _refuse_nul(name, pointer)
            _refuse_nul(child, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}")
    if isinstance(value, list):
        for index, child in enumerate(value):
            _refuse_nul(child, f"{pointer}/{index}")


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
            _require_json(request)
            return await handle(_JsonRequest(request, parse_json(body), body))

        return read_then_handle


def _require_json(request: Request) -> None:
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said != "application/json" and not (
        said.startswith("application/") and said.endswith("+json")
    ):
        raise UnsupportedMediaType(
            f"the body is said to be {said or 'nothing'}; send JSON with "
            "Content-Type: application/json"
        )
