"""Where requests to register are slowed down that keep going wrong, by their address."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nexus.api.guard import site_of
from nexus.api.problems import refused
from nexus.domain.budgets import Budgets
from nexus.domain.errors import TooManyAttempts
from nexus.domain.limits import GuessLimits
from nexus.services.platform import Platform

PATHS = frozenset({"/auth/register", "/agents/register"})


class RegistrationLimits:
    """Refuses addresses from which too many requests were refused; what succeeds counts nothing."""

    def __init__(self, app: ASGIApp, platform: Platform, limits: GuessLimits) -> None:
        self._app = app
        self._platform = platform
        self._addresses = Budgets(limits.registrations)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; it counts from its beginning, and is given back if all is well."""
        if scope.get("path") not in PATHS or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        site = site_of(client[0] if client else None)
        wait = self._addresses.wait_s(site, self._platform.clock())
        if wait:
            message = f"too many requests to register were refused; try again in {wait} s"
            await refused(TooManyAttempts(message, wait))(scope, receive, send)
            return
        self._addresses.spend(site, self._platform.clock())

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                self._addresses.spend(site, self._platform.clock(), -1)
            await send(message)

        await self._app(scope, receive, note)
