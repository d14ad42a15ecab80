"""Where the GitHub of tests lives: a real server on a free port, with repositories behind it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from nexus.testing.github._errors import NotThereError, RefusedError
from nexus.testing.github._limits import (
    CutAfter,
    Fault,
    Faults,
    Hangs,
    PrimaryLimit,
    SecondaryLimit,
    ServerFails,
    secondary,
)
from nexus.testing.github._repositories import Pages, Repository
from nexus.testing.github._rest import Rest

_PREFIX = "/api/v3"
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request that came, and what it was answered; 0 when the answer was lost."""

    method: str
    path: str
    status: int


class GitHubServer:
    """A GitHub with one user and its token; make it with :meth:`running`.

    It speaks as a GitHub Enterprise Server does: its REST API is under ``/api/v3``.
    """

    def __init__(self, login: str) -> None:
        self.token = f"github_pat_{'11TESTS':A<22}_{'s':0<59}"
        self.login = login
        self.url = ""
        self.limit = PrimaryLimit()
        self.read_only = False
        self.requests: list[Request] = []
        self._repositories: dict[str, Repository] = {}
        self._faults = Faults()
        self._rest = Rest(self._repositories, login)

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, *, login: str = "nexus-bot") -> AsyncIterator["GitHubServer"]:
        """Run a GitHub on a free port of this machine until the block ends."""
        github = cls(login)
        door = web.Application(middlewares=[github._guard])
        door.add_routes(github._rest.routes(_PREFIX))
        door.router.add_route("*", "/{path:.*}", _nothing)
        runner = web.AppRunner(
            door, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        _, port = runner.addresses[0][:2]
        github.url = f"http://127.0.0.1:{port}"
        github._rest.pages = Pages(github.url)
        try:
            yield github
        finally:
            await runner.cleanup()

    @property
    def api_url(self) -> str:
        """Where the REST API is; what ``GITHUB_API_URL`` says."""
        return f"{self.url}{_PREFIX}"

    def environment(self) -> dict[str, str]:
        """Return the variables that connect Nexus with this GitHub."""
        return {"GITHUB_API_URL": self.api_url, "GITHUB_TOKEN": self.token}

    def add_repository(self, full_name: str, *, default_branch: str = "main") -> Repository:
        """Add a repository that the token may read and write."""
        repo = Repository(full_name, default_branch)
        self._repositories[full_name.lower()] = repo
        return repo

    def repository(self, full_name: str) -> Repository:
        """Return a repository.

        Raises:
            NotThereError: there is none of that name.
        """
        try:
            return self._repositories[full_name.lower()]
        except KeyError:
            raise NotThereError(f"there is no repository {full_name}") from None

    def revoke_token(self) -> None:
        """Make the token void."""
        self.token = "github_pat_another_one"

    def fail(self, fault: Fault, *, times: int = 1) -> None:
        """Have the next requests fail so."""
        self._faults.order(fault, times)

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            answer = await self._answer(request, handler)
        except RefusedError as error:
            answer = web.json_response(error.body, status=error.status, headers=error.headers)
        status = 0 if request.transport is None else answer.status
        self.requests.append(Request(method=request.method, path=request.path_qs, status=status))
        for name, value in self.limit.headers.items():
            answer.headers.setdefault(name, value)
        return answer

    async def _answer(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        self._let_in(request)
        fault = self._faults.take()
        if isinstance(fault, SecondaryLimit):
            raise secondary(fault)
        if isinstance(fault, Hangs):
            await asyncio.Event().wait()
        if isinstance(fault, ServerFails) and not fault.late:
            return _broken(fault)
        answer = await handler(request)
        if isinstance(fault, CutAfter) and request.transport is not None:
            request.transport.abort()
        return _broken(fault) if isinstance(fault, ServerFails) else answer

    def _let_in(self, request: web.Request) -> None:
        """Refuse who is nobody, and who has done too much.

        https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
        """
        if not request.headers.get("User-Agent"):
            raise RefusedError(403, "Request forbidden by administrative rules.")
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() not in {"bearer", "token"} or token != self.token:
            raise RefusedError(401, "Bad credentials")
        self.limit.spend()
        if self.read_only and request.method != "GET":
            raise RefusedError(403, "Resource not accessible by personal access token")


async def _nothing(_request: web.Request) -> web.Response:
    raise RefusedError(404, "Not Found")


def _broken(fault: ServerFails) -> web.Response:
    page = "<html><body><h1>Server Error</h1></body></html>"
    return web.Response(status=fault.status, text=page, content_type="text/html")
