"""Where plain commands take a shortcut past FastAPI's general way to find routes and arguments.

A plain command is an endpoint at a fixed address that wants a door and a wish, and nothing else;
or one that wants the request as it is. The general way takes longer than all that Nexus does for
such a command. Both ways end in the same endpoint, and FastAPI describes it either way.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self, get_type_hints

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from nexus.api.bodies import JsonRoute, parse_json, require_json
from nexus.api.door import Entrance
from nexus.api.problems import invalid, refused
from nexus.domain.errors import NexusError


class Shortcut:
    """Serves the plain commands among ``routes``, and hands on all else."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._plain = {
            (method, plain.route.path): plain
            for route in routes
            if (plain := _plain(route)) is not None
            for method in plain.route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        plain = self._plain.get((scope.get("method", ""), scope.get("path", "")))
        if plain is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = plain.route
        response = await plain.answer(Request(scope, receive))
        await response(scope, receive, send)


@dataclass(frozen=True, kw_only=True)
class PlainRequest:
    """An endpoint that reads its request itself, and answers itself what is wrong with it."""

    route: APIRoute

    @classmethod
    def of(cls, route: APIRoute) -> Self | None:
        """Return it, or None for a route that leads anywhere else."""
        wants = list(inspect.signature(route.endpoint).parameters)
        plain = "{" not in route.path and wants == ["request"] and not route.dependencies
        return cls(route=route) if plain else None

    async def answer(self, request: Request) -> Response:
        """Have the request answered."""
        try:
            response: Response = await self.route.endpoint(request)
            return response
        except NexusError as error:
            return refused(error)


@dataclass(frozen=True, kw_only=True)
class PlainCommand:
    """What a plain command's endpoint wants."""

    route: JsonRoute
    entrance: Entrance
    wish: TypeAdapter[Any]

    @classmethod
    def of(cls, route: JsonRoute) -> Self | None:
        """Return it, or None for a route that leads anywhere else."""
        endpoint: Callable[..., Any] = route.endpoint
        parameters = inspect.signature(endpoint).parameters
        fixed = "{" not in route.path
        if not fixed or list(parameters) != ["door", "wish"]:
            return None
        if parameters["wish"].default is not inspect.Parameter.empty:
            return None
        hints = get_type_hints(endpoint, include_extras=True)
        (depends,) = hints["door"].__metadata__
        return cls(route=route, entrance=depends.dependency, wish=TypeAdapter(hints["wish"]))

    async def answer(self, request: Request) -> Response:
        """Carry out the command, or say what is wrong with it."""
        try:
            door = await self.entrance.door(request)
            wish = self._understood(await request.body(), request)
            response: Response = await self.route.endpoint(door, wish)
            return response
        except NexusError as error:
            return refused(error)
        except RequestValidationError as error:
            return invalid(error)

    def _understood(self, body: bytes, request: Request) -> Any:
        """Return the wish that a body states; refuse it as FastAPI would."""
        if not body:
            raise RequestValidationError([{"type": "missing", "loc": ("body",), "msg": ""}])
        require_json(request)
        try:
            return self.wish.validate_python(parse_json(body))
        except ValidationError as error:
            problems = error.errors(include_url=False)
            raise RequestValidationError(
                [{**problem, "loc": ("body", *problem["loc"])} for problem in problems]
            ) from error


def _plain(route: BaseRoute) -> PlainCommand | PlainRequest | None:
    if isinstance(route, JsonRoute):
        return PlainCommand.of(route)
    return PlainRequest.of(route) if isinstance(route, APIRoute) else None
