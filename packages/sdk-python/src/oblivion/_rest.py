"""Where Nexus is asked over HTTP: lists, single tasks and threads."""

from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import TypeAdapter, ValidationError

from oblivion._auth import TokenSource, unreachable
from oblivion._link import unreadable
from oblivion._refusals import refused_request
from oblivion.protocol import Task, TaskSummary, ThreadMessage, ThreadPage, ToolInfo

_PAGE = 100
_SUMMARIES = TypeAdapter(list[TaskSummary])
_TOOLS = TypeAdapter(list[ToolInfo])
_T = TypeVar("_T")


class Rest:
    """The HTTP side of Nexus, with the agent's token."""

    def __init__(self, http: httpx2.AsyncClient, tokens: TokenSource) -> None:
        self._http = http
        self._tokens = tokens

    async def list_tasks(self, *, available: bool) -> list[TaskSummary]:
        """Return the tasks that wait for a claim, or those this agent holds."""
        path = "tasks/available" if available else "tasks/claimed"
        return _read(path, _SUMMARIES, await self._get(path))

    async def list_tools(self) -> list[ToolInfo]:
        """Return what this agent may have done for it."""
        return _read("tools", _TOOLS, await self._get("tools"))

    async def get_task(self, task_id: str) -> Task:
        """Return one task."""
        path = f"tasks/{quote(task_id, safe='')}"
        return _read(path, TypeAdapter(Task), await self._get(path))

    async def get_thread(self, task_id: str, limit: int | None) -> list[ThreadMessage]:
        """Return the first ``limit`` messages of the task's thread, oldest first."""
        messages: list[ThreadMessage] = []
        seen: set[str | None] = {None}
        cursor: str | None = None
        while limit is None or len(messages) < limit:
            wanted = _PAGE if limit is None else min(_PAGE, limit - len(messages))
            page = await self._thread_page(task_id, wanted, cursor)
            messages += page.messages
            cursor = page.next_cursor
            if not page.has_more or cursor in seen:
                break
            seen.add(cursor)
        return messages if limit is None else messages[:limit]

    async def _thread_page(self, task_id: str, limit: int, cursor: str | None) -> ThreadPage:
        path = f"tasks/{quote(task_id, safe='')}/slack-thread"
        query = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        return _read(path, TypeAdapter(ThreadPage), await self._get(path, query))

    async def _get(self, path: str, query: dict[str, str] | None = None) -> Any:
        token = await self._tokens.token()
        response = await self._send(path, query, token)
        if response.status_code == 401:
            self._tokens.forget(token)
            response = await self._send(path, query, await self._tokens.token())
        if response.status_code != 200:
            raise refused_request(response.status_code, _body(response))
        return _body(response)

    async def _send(self, path: str, query: dict[str, str] | None, token: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}"}
        try:
            return await self._http.get(path, params=query, headers=headers)
        except httpx2.HTTPError as error:
            raise unreachable(self._http, error) from None


def _read(path: str, adapter: TypeAdapter[_T], body: Any) -> _T:
    try:
        return adapter.validate_python(body)
    except ValidationError as error:
        raise unreadable(path, f"{error.error_count()} problem(s) in the answer") from None


def _body(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None
