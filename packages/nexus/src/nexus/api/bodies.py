"""Where bodies are read: strict JSON, of bounded depth, without what databases refuse."""

import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, get_type_hints

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.types import Receive, Scope, Send

from nexus.api.door import Entrance
from nexus.api.refusals import BadJson, UnsupportedMediaType
from nexus.domain.json_values import MAX_DEPTH, is_too_deep, refuse_nul


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
    if is_too_deep(value):
        raise BadJson(f"the body is nested deeper than {MAX_DEPTH} levels")
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
            _require_json(request)
            return await handle(_JsonRequest(request, parse_json(body), body))

        return read_then_handle

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, a plain command without FastAPI's general way to find arguments.

        That takes longer than all that Nexus does for a command.
        """
        if self._plain is None or scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        request = Request(scope, receive)
        door = await self._plain.entrance.door(request)
        wish = self._plain.understood(await request.body(), request)
        response: Response = await self.endpoint(door, wish)
        await response(scope, receive, send)

    @cached_property
    def _plain(self) -> "_PlainCommand | None":
        return _PlainCommand.of(self.endpoint)


@dataclass(frozen=True, kw_only=True)
class _PlainCommand:
    """What an endpoint wants that takes a door and a wish, and nothing else."""

    entrance: Entrance
    wish: TypeAdapter[Any]

    @classmethod
    def of(cls, endpoint: Callable[..., Any]) -> Self | None:
        """Return it, or None for an endpoint that wants anything else."""
        parameters = inspect.signature(endpoint).parameters
        if list(parameters) != ["door", "wish"] or parameters["wish"].default is not inspect._empty:
            return None
        hints = get_type_hints(endpoint, include_extras=True)
        (depends,) = hints["door"].__metadata__
        return cls(entrance=depends.dependency, wish=TypeAdapter(hints["wish"]))

    def understood(self, body: bytes, request: Request) -> Any:
        """Return the wish that a body states.

        Raises:
            UnsupportedMediaType: it is not said to be JSON.
            BadJson: it is none.
            RequestValidationError: it is not this wish; as FastAPI would say it.
        """
        if not body:
            raise RequestValidationError([{"type": "missing", "loc": ("body",), "msg": ""}])
        _require_json(request)
        try:
            return self.wish.validate_python(parse_json(body))
        except ValidationError as error:
            problems = error.errors(include_url=False)
            raise RequestValidationError(
                [{**problem, "loc": ("body", *problem["loc"])} for problem in problems]
            ) from error


def _require_json(request: Request) -> None:
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said != "application/json" and not (
        said.startswith("application/") and said.endswith("+json")
    ):
        raise UnsupportedMediaType(
            f"the body is said to be {said or 'nothing'}; send JSON with "
            "Content-Type: application/json"
        )
