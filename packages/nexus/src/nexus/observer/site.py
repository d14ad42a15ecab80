"""Where the pages are put together, each with its address and who may see or do it."""

from collections.abc import Awaitable, Callable
from importlib.resources import files

import structlog
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from nexus.domain.errors import Invalid, NexusError, NotFound, Unauthenticated
from nexus.domain.principal import Principal
from nexus.observer import (
    agent_acts,
    agent_pages,
    entrance,
    group_acts,
    group_pages,
    health,
    live,
    overview,
    records,
    slack_pages,
    task_acts,
    task_page,
    task_pages,
    token_pages,
    tool_acts,
    tool_pages,
)
from nexus.observer.house import (
    Anchors,
    Examine,
    House,
    Recognise,
    nothing_found,
    nothing_kept,
)
from nexus.observer.links import Links
from nexus.observer.look import Look
from nexus.observer.newsroom import Newsroom
from nexus.observer.pulse import Pulse
from nexus.observer.together import Together
from nexus.observer.visit import Visit, read_form, show, told_when
from nexus.services.deeds import Requirement
from nexus.services.platform import Platform
from nexus.services.tool_gate import Gate
from nexus.services.workspace import Workspace

logger = structlog.get_logger(__name__)

Page = Callable[[Visit], Awaitable[Response]]
Outside = Callable[[House, Request], Awaitable[Response]]

PAGES: dict[str, Page] = {
    "/": overview.page,
    "/tasks": task_pages.table,
    "/board": task_pages.board,
    "/tasks/new": task_pages.new,
    "/tasks/{task_id}": task_page.page,
    "/tools": tool_pages.page,
    "/agents": agent_pages.cards,
    "/agents/{agent_id}": agent_pages.page,
    "/activity": records.activity,
    "/audit": records.audit,
    "/slack": slack_pages.page,
    "/groups": group_pages.all_groups,
    "/groups/{group_id}": group_pages.group,
    "/projects": group_pages.all_projects,
    "/projects/{project_id}": group_pages.project,
    "/health": health.page,
}
"""What admins and viewers see."""

ADMIN_PAGES: dict[str, Page] = {
    "/agents/new": agent_pages.new,
    "/groups/new": group_pages.new_group,
    "/projects/new": group_pages.new_project,
    "/tokens": token_pages.page,
}
"""What admins see alone."""

_ACT: dict[str, Page] = {
    "/stop-all": health.stop_all,
    "/resume-all": health.resume_all,
    "/agents": agent_acts.create_agent,
    "/agents/{agent_id}/approve": agent_acts.approve_agent,
    "/agents/{agent_id}/reject": agent_acts.reject_agent,
    "/agents/{agent_id}/edit": agent_acts.edit_agent,
    "/agents/{agent_id}/wake": agent_acts.wake_agent,
    "/agents/{agent_id}/disconnect": agent_acts.disconnect_agent,
    "/agents/{agent_id}/logout": agent_acts.log_out_agent,
    "/agents/{agent_id}/ban": agent_acts.ban_agent,
    "/agents/{agent_id}/unban": agent_acts.unban_agent,
    "/agents/{agent_id}/rotate-secret": agent_acts.rotate_secret,
    "/agents/{agent_id}/groups": agent_acts.add_member,
    "/agents/{agent_id}/groups/{group_id}/remove": agent_acts.remove_member,
    "/tokens": token_pages.create_registration_token,
    "/tokens/{token_id}/revoke": token_pages.revoke_registration_token,
    "/groups": group_acts.create_group,
    "/groups/{group_id}/edit": group_acts.edit_group,
    "/groups/{group_id}/archive": group_acts.archive_group,
    "/groups/{group_id}/members": group_acts.add_member,
    "/groups/{group_id}/members/{agent_id}/remove": group_acts.remove_member,
    "/projects": group_acts.create_project,
    "/projects/{project_id}/edit": group_acts.edit_project,
    "/projects/{project_id}/archive": group_acts.archive_project,
    "/tasks": task_acts.create_task,
    "/tasks/{task_id}/cancel": task_acts.cancel_task,
    "/tasks/{task_id}/retry": task_acts.retry_task,
    "/tasks/{task_id}/priority": task_acts.edit_task,
    "/tasks/{task_id}/messages": task_acts.speak,
    "/approvals/{approval_id}/approve": tool_acts.approve_call,
    "/approvals/{approval_id}/deny": tool_acts.deny_call,
    "/tools/rules": tool_acts.create_tool_rule,
    "/tools/rules/{rule_id}/remove": tool_acts.remove_tool_rule,
    "/deliveries/{delivery_id}/retry": slack_pages.retry_delivery,
    "/slack/agents/{agent_id}/resume": slack_pages.resume_in_slack,
}
"""What admins do."""

_OWN: dict[str, Page] = {"/sign-out": entrance.sign_out, "/theme": entrance.theme}
"""What everybody does who is signed in."""


def address(path: str) -> str:
    """Return a page's path as browsers know it."""
    return path if path == "/" else f"/ui{path}"


class Observer:
    """The ASGI app of the pages, for ``/`` and below ``/ui``."""

    def __init__(
        self,
        platform: Platform,
        recognise: Recognise,
        *,
        gate: Callable[[], Gate] = Gate,
        workspace: Workspace | None = None,
        examine: Examine = nothing_found,
        anchors: Anchors = nothing_kept,
    ) -> None:
        self.house = House(
            platform=platform,
            recognise=recognise,
            look=Look({address(path) for path in PAGES}),
            links=Links(platform.clock),
            newsroom=Newsroom(platform),
            pulse=Pulse(),
            together=Together(platform.store),
            gate=gate,
            workspace=workspace,
            examine=examine,
            anchors=anchors,
        )
        self._router = Router([*self._routes()], redirect_slashes=False, default=self._nowhere)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._router(scope, receive, send)

    def link(self, client_id: str) -> str:
        """Return the path of a new link that signs this client's person in, once."""
        return f"/ui/enter?key={self.house.links.make(client_id)}"

    def _routes(self) -> list[BaseRoute]:
        static = StaticFiles(directory=str(files("nexus.observer") / "static"))
        return [
            Mount("/static", static, name="static"),
            self._outside("/sign-in", "GET", entrance.sign_in_page),
            self._outside("/sign-in", "POST", entrance.sign_in),
            self._outside("/enter", "GET", entrance.enter),
            self._inside("/live", "GET", live.stream, _viewer),
            *(self._inside(path, "GET", page, _admin) for path, page in ADMIN_PAGES.items()),
            *(self._inside(path, "GET", page, _viewer) for path, page in PAGES.items()),
            *(self._inside(path, "POST", page, _admin) for path, page in _ACT.items()),
            *(self._inside(path, "POST", page, _viewer) for path, page in _OWN.items()),
        ]

    def _outside(self, path: str, method: str, page: Outside) -> Route:
        async def serve(request: Request) -> Response:
            try:
                return await page(self.house, request)
            except NexusError as error:
                return self._problem(request, error)

        return Route(path, serve, methods=[method])

    def _inside(self, path: str, method: str, page: Page, requires: Requirement) -> Route:
        async def serve(request: Request) -> Response:
            request.scope["route"] = route
            try:
                return await page(await self._visit(request, page.__name__, requires))
            except Unauthenticated:
                return entrance.to_sign_in(request)
            except ValidationError as error:
                return self._problem(request, Invalid(_said(error)))
            except NexusError as error:
                return self._problem(request, error)

        route = Route(path, serve, methods=[method])
        return route

    async def _visit(self, request: Request, operation: str, requires: Requirement) -> Visit:
        claimed = entrance.signed_in(self.house, request)
        form = await read_form(request) if request.method == "POST" else {}
        requires(claimed)
        return Visit(
            house=self.house,
            request=request,
            claimed=claimed,
            requires=requires,
            form=form,
            operation=operation,
        )

    async def _nowhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        answer = self._problem(request, NotFound("there is no such page"))
        await answer(scope, receive, send)

    def _problem(self, request: Request, error: NexusError) -> Response:
        try:
            who = entrance.signed_in(self.house, request)
        except Unauthenticated:
            who = None
        page = show(self.house, request, "problem.html", error.status, who=who, error=error)
        return told_when(page, error)


_viewer = Principal.require_viewer
_admin = Principal.require_admin


def _said(error: ValidationError) -> str:
    """Return what is wrong with a form, never what was written into it."""
    found = error.errors(include_url=False, include_input=False)[0]
    field = " ".join(str(part) for part in found["loc"]).replace("_", " ")
    return f"{field}: {found['msg'].removeprefix('Value error, ')}".lstrip(": ")
