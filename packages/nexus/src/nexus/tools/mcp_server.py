"""Where an MCP server is a tool: started, watched, started again, and called.

One task owns the connection from its opening to its close; calls come from others.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from fnmatch import fnmatchcase
from typing import Any

from mcp import Client, MCPError
from mcp.types import (
    REQUEST_TIMEOUT,
    CallToolResult,
    EmbeddedResource,
    ResourceLink,
    TextContent,
    TextResourceContents,
    Tool,
)

from nexus.domain.tool_catalogue import Action
from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode

_log = logging.getLogger("nexus.tools")
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_OPEN_S = 30.0
_LONGEST_LIST = 1000

Connect = Callable[[], AbstractAsyncContextManager[Client]]
"""Opens a connection to the server."""


class McpServer:
    """A tool whose actions are the tools of an MCP server."""

    def __init__(self, name: str, connect: Connect, idempotent: Sequence[str] = ()) -> None:
        self._name = name
        self._connect = connect
        self._idempotent = tuple(idempotent)
        self._client: Client | None = None
        self._lost = asyncio.Event()
        self._problem = "the MCP server is still being started"

    async def run(self) -> None:
        """Hold a connection until cancelled; open another one when it is lost."""
        pause = _FIRST_PAUSE_S
        while True:
            began = asyncio.get_running_loop().time()
            await self._live()
            lived = asyncio.get_running_loop().time() - began
            pause = _FIRST_PAUSE_S if lived > _LONGEST_PAUSE_S else pause
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _live(self) -> None:
        """Open a connection, and hold it until it is lost."""
        self._lost.clear()
        try:
            async with asyncio.timeout(_OPEN_S) as opening, self._connect() as client:
                opening.reschedule(None)
                self._client = client
                _log.info("tool_connected tool=%s", self._name)
                await self._lost.wait()
        except Exception as error:  # noqa: BLE001 - whatever a server does, it is started again
            self._problem = f"the MCP server cannot be reached: {_reason(error)}"
            _log.warning("tool_lost tool=%s reason=%r", self._name, self._problem)
        finally:
            self._client = None

    async def list_tools(self) -> Sequence[Action]:
        """Return the server's tools.

        Raises:
            ToolError: it is not there just now.
        """
        client = self._there()
        found: list[Tool] = []
        cursor: str | None = None
        try:
            while len(found) < _LONGEST_LIST:
                page = await client.list_tools(cursor=cursor, cache_mode="refresh")
                found += page.tools
                cursor = page.next_cursor
                if cursor is None:
                    break
        except Exception as error:
            self._lose(client)
            raise ToolError(self._problem, ToolCode.TOOL_UNAVAILABLE) from error
        return [self._action(tool) for tool in found]

    def _action(self, tool: Tool) -> Action:
        return Action(
            tool=self._name,
            action=tool.name,
            description=tool.description or "",
            input_schema=tool.input_schema,
            idempotent=any(fnmatchcase(tool.name, pattern) for pattern in self._idempotent),
        )

    async def call(self, action: str, params: Mapping[str, Any], timeout: float) -> Any:
        """Call one of the server's tools.

        Raises:
            ToolError: it failed, or the server was lost meanwhile.
        """
        client = self._there()
        try:
            result = await client.call_tool(action, dict(params), read_timeout_seconds=timeout)
        except MCPError as error:
            if error.code == REQUEST_TIMEOUT:
                said = f"{self._name}.{action} did not end within {timeout:g} s"
                raise ToolError(said, ToolCode.TIMED_OUT) from error
            if not await self._is_alive(client):
                said = "the MCP server was lost during the call; its outcome is not known"
                raise ToolError(said, ToolCode.OUTCOME_UNKNOWN) from error
            raise ToolError(error.message) from error
        return _data(result)

    def _there(self) -> Client:
        if self._client is None:
            raise ToolError(self._problem, ToolCode.TOOL_UNAVAILABLE)
        return self._client

    async def _is_alive(self, client: Client) -> bool:
        try:
            await client.list_tools(cache_mode="refresh")
        except Exception:  # noqa: BLE001 - however it fails, the answer is no
            self._lose(client)
            return False
        return True

    def _lose(self, client: Client) -> None:
        """Give a connection up; the next one may be open already."""
        if self._client is client:
            self._client = None
            self._problem = "the MCP server was lost, and is being started again"
            self._lost.set()


def _data(result: CallToolResult) -> Any:
    """Return what a tool returned as JSON: what is structured, else its texts."""
    texts = [_text(block) for block in result.content]
    if result.is_error:
        raise ToolError("\n".join(str(text) for text in texts) or "the tool gave no reason")
    if result.structured_content is not None:
        return result.structured_content
    return texts[0] if len(texts) == 1 else texts


def _text(block: object) -> Any:
    if isinstance(block, TextContent):
        return block.text
    if isinstance(block, ResourceLink):
        return {"uri": str(block.uri), "name": block.name}
    if isinstance(block, EmbeddedResource) and isinstance(block.resource, TextResourceContents):
        return block.resource.text
    kind = getattr(block, "type", "something")
    error = f"the tool returned {kind}, and agents are sent text alone"
    raise ToolError(error, ToolCode.RESULT_REFUSED)


def _reason(error: BaseException) -> str:
    """Say why in one line, without what may be secret: addresses and arguments stay out of it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        return f"it was not ready within {_OPEN_S:g} s"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
