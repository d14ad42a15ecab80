"""Where the fake Nexus is asked over HTTP: for tokens, tasks and threads."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from oblivion._json import as_object
from oblivion.protocol import ErrorCode, Problem
from oblivion.testing._agents import Agent
from oblivion.testing._refusal import Refusal
from oblivion.testing._tasks import Tasks
from oblivion.testing._threads import Threads
from oblivion.testing._tokens import LIFE_SECONDS, Tokens
from oblivion.testing._tools import Tools

_STATUSES = {ErrorCode.NOT_FOUND: 404, ErrorCode.INVALID_PAYLOAD: 422}
_LIMITS = range(1, 201)

Ask = Callable[[Agent, web.Request], Any]


class Http:
    """The part of the REST interface that agents use."""

    def __init__(self, tokens: Tokens, tasks: Tasks, threads: Threads, tools: Tools) -> None:
        self._tokens = tokens
        self._tasks = tasks
        self._threads = threads
        self._tools = tools

    def routes(self) -> list[web.RouteDef]:
        """Return what is answered."""
        return [
            web.post("/auth/token", self._token),
            web.get("/tools", self._answering(self._list_tools)),
            web.get("/tasks/available", self._answering(self._available)),
            web.get("/tasks/claimed", self._answering(self._claimed)),
            web.get("/tasks/{task_id}", self._answering(self._task)),
            web.get("/tasks/by-id/{task_id}", self._answering(self._task)),
            web.get("/tasks/{task_id}/slack-thread", self._answering(self._thread)),
        ]

    async def _token(self, request: web.Request) -> web.Response:
        said = await _credentials(request)
        token = self._tokens.give(str(said.get("client_id")), str(said.get("client_secret")))
        headers = {"Cache-Control": "no-store"}
        if token is None:
            refusal = {
                "error": "invalid_client",
                "error_description": "unknown client_id or wrong client_secret",
            }
            return web.json_response(refusal, status=401, headers=headers)
        granted = {"access_token": token, "token_type": "Bearer", "expires_in": LIFE_SECONDS}
        return web.json_response({**granted, "scope": "agent"}, headers=headers)

    def _answering(self, ask: Ask) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            shown = token if scheme.lower() == "bearer" else None
            try:
                agent = self._tokens.read(shown, connecting=False)
                return web.json_response(ask(agent, request))
            except Refusal as refusal:
                return _problem(refusal)

        return answer

    def _available(self, agent: Agent, _request: web.Request) -> Any:
        waiting = [task for task in self._tasks.waiting() if agent.can(task.required)]
        return [task.summary().to_wire() for task in waiting]

    def _claimed(self, agent: Agent, _request: web.Request) -> Any:
        return [task.summary().to_wire() for task in self._tasks.held_by(agent)]

    def _list_tools(self, _agent: Agent, _request: web.Request) -> Any:
        return [tool.to_wire() for tool in self._tools.list()]

    def _task(self, _agent: Agent, request: web.Request) -> Any:
        return self._tasks.find(request.match_info["task_id"]).shown().to_wire()

    def _thread(self, _agent: Agent, request: web.Request) -> Any:
        task = self._tasks.find(request.match_info["task_id"])
        limit, cursor = request.query.get("limit", "50"), request.query.get("cursor")
        if not limit.isdecimal() or int(limit) not in _LIMITS:
            raise Refusal(ErrorCode.INVALID_PAYLOAD, "limit: must be from 1 to 200")
        if cursor is not None and not cursor.isdecimal():
            raise Refusal(ErrorCode.INVALID_PAYLOAD, "cursor: must be the nextCursor of a page")
        return self._threads.page(task, int(limit), cursor).to_wire()


async def _credentials(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        return dict(await request.post())
    try:
        said = await request.json()
    except json.JSONDecodeError:
        return {}
    return as_object(said)


def _problem(refusal: Refusal) -> web.Response:
    status = _STATUSES.get(ErrorCode(refusal.code), 401)
    problem = Problem(
        title=str(refusal.code), status=status, detail=refusal.message, code=refusal.code
    )
    return web.json_response(
        problem.to_wire(), status=status, content_type="application/problem+json"
    )
