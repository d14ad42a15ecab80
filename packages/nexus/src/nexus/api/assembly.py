"""Where the API is put together from its rooms."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from nexus import __version__
from nexus.api import (
    agents,
    approval,
    audit,
    auth,
    clients,
    custody,
    deliveries,
    docs,
    feed,
    groups,
    health,
    problems,
    projects,
    registration,
    registration_tokens,
    secrets,
    slack,
    tasks,
    tools,
    webhooks,
    work,
)
from nexus.api.guard import Guard
from nexus.api.hashing import Hashers
from nexus.api.headers import Browsers, SafeHeaders
from nexus.api.intake import Intake
from nexus.api.limits import RequestLimits
from nexus.api.metrics import RequestMetrics
from nexus.api.origins import opened_for
from nexus.api.registering import RegistrationLimits
from nexus.api.shortcut import Shortcut
from nexus.api.waiting import Drain
from nexus.domain.limits import GuessLimits
from nexus.services.platform import Platform
from nexus.services.tool_gate import Gate
from nexus.services.webhooks import Webhook
from nexus.services.workspace import Workspace

_ROOMS = (
    *(work, auth, tasks, groups, projects),
    *(registration, registration_tokens, approval, agents, custody, clients, audit),
    *(slack, deliveries, tools, secrets, feed, health, webhooks),
)
"""In the order in which a request looks for its route: where most requests go comes first, and
what stands in the place of an agent's id before the agents."""


class _Api(FastAPI):
    """FastAPI within our own layers, so that what takes the shortcut passes none of its layers."""

    def __init__(self, layers: Sequence[Middleware], **options: Any) -> None:
        # Our boundary stands within FastAPI's own, too, which shows less.
        super().__init__(**options, middleware=[Middleware(problems.Boundary)])
        self._app: ASGIApp = super().__call__
        for layer in reversed(layers):
            self._app = layer.cls(self._app, *layer.args, **layer.kwargs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope["app"] = self
        await self._app(scope, receive, send)


def create_api(
    platform: Platform,
    guesses: GuessLimits | None = None,
    browsers: Browsers | None = None,
    sources: Mapping[str, Webhook] | None = None,
    workspace: Workspace | None = None,
    gate: Callable[[], Gate] = Gate,
) -> FastAPI:
    """Return the ASGI app of the HTTP API, served by ``platform``; other origins are kept out.

    ``sources`` are the other services whose webhooks are taken, by the end of their address.
    ``gate`` returns what calls of tools are judged by just now. The app holds nothing open: there
    is nothing to start, and nothing to close.
    """
    limits = guesses or GuessLimits()
    browsers = browsers or Browsers()
    routes = [route for room in _ROOMS for route in room.router.routes]
    api = _Api(
        title="Nexus",
        version=__version__,
        openapi_url=docs.OPENAPI_URL,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # The first is the outermost.
        layers=[
            Middleware(SafeHeaders, browsers=browsers),
            *opened_for(browsers.origins),
            Middleware(RequestMetrics),
            Middleware(problems.Boundary),
            Middleware(RequestLimits),
            Middleware(RegistrationLimits, platform=platform, limits=limits),
            Middleware(Shortcut, routes=routes),
        ],
    )
    api.state.platform = platform
    api.state.hashers = Hashers()
    api.state.guard = Guard(limits)
    api.state.gate = gate
    api.state.drain = Drain(platform)
    api.state.intake = Intake(platform, sources or {})
    api.state.workspace = workspace
    docs.install(api)
    problems.install(api, routes)
    api.router.routes.extend(_HOUSE.routes)
    return api


def show_pages(api: FastAPI, pages: ASGIApp) -> None:
    """Have ``pages`` served at ``/`` and below ``/ui``, within the API's own bounds."""
    api.router.routes.append(Route("/", pages, include_in_schema=False))
    api.mount("/ui", pages)


def _name_of(route: APIRoute) -> str:
    """Name operations as their functions, for clients that are generated from the description."""
    return route.name


def _house() -> APIRouter:
    house = APIRouter(responses=docs.PROBLEM, generate_unique_id_function=_name_of)
    for room in _ROOMS:
        house.include_router(room.router)
    return house


_HOUSE = _house()
"""All rooms, for every app of the process: FastAPI works out once what each route takes, which
costs more than all else that there is to do for a new app."""
