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
    PARSE_ERROR,
    REQUEST_TIMEOUT,
    CallToolResult,
    EmbeddedResource,
    ResourceLink,
    TextContent,
    TextResourceContents,
    Tool,
)

from nexus.domain.tool_catalogue import Action
from nexus.tools import tracing
from nexus.tools.answers import TOO_LARGE
from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode

_log = logging.getLogger("nexus.tools")
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_OPEN_S = 30.0
_LIST_S = 8.0
_LONGEST_LIST = 1000

OnEnd = Callable[[str], None]
"""Is told why a connection can be used no more."""

Connect = Callable[[OnEnd], AbstractAsyncContextManager[Client]]
"""Opens a connection to the server."""


class McpServer:
    """A tool whose actions are the tools of an MCP server."""

    def __init__(self, name: str, connect: Connect, idempotent: Sequence[str] = ()) -> None:
        self._name = name
        self._connect = connect
        self._idempotent = tuple(idempotent)
        self._client: Client | None = None
        self._known: Sequence[Action] = ()
        self._at_work = 0
        self._lost = asyncio.Event()
        self._why: str | None = None
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
        self._why = None
        try:
            async with asyncio.timeout(_OPEN_S) as opening, self._connect(self._lose) as client:
                opening.reschedule(None)
                self._client = client
                _log.info("tool_connected tool=%s", self._name)
                await self._lost.wait()
        except Exception as error:  # noqa: BLE001 - whatever a server does, it is started again
            self._problem = f"the MCP server cannot be reached: {self._cause(error)}"
        finally:
            self._client = None
        _log.warning("tool_lost tool=%s reason=%r", self._name, self._problem)

    def _cause(self, error: Exception) -> str:
        return self._why or _reason(error)

    async def list_tools(self) -> Sequence[Action]:
        """Return the server's tools; of one that is too busy to say, those that it had.

        Raises:
            ToolError: it is not there just now.
        """
        client = self._there()
        try:
            async with asyncio.timeout(_LIST_S):
                self._known = [self._action(tool) for tool in await _listed(client)]
        except Exception as error:
            if not self._is_busy(error):
                self._lose(f"it does not say what it can do: {_reason(error)}", client)
                raise ToolError(self._problem, ToolCode.TOOL_UNAVAILABLE) from error
        return self._known

    def _is_busy(self, error: Exception) -> bool:
        """Whether it may be a call that keeps a server from answering anything else."""
        return isinstance(error, TimeoutError) and self._at_work > 0

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
        self._at_work += 1
        try:
            result = await client.call_tool(action, dict(params), read_timeout_seconds=timeout)
        except MCPError as error:
            raise await self._failure(client, f"{self._name}.{action}", error, timeout) from error
        except Exception as error:
            if client is not self._client:
                raise _lost_meanwhile() from error
            said = f"the MCP server answered with what is no result of a tool: {_reason(error)}"
            raise ToolError(said, ToolCode.RESULT_REFUSED) from error
        finally:
            self._at_work -= 1
        return _data(result)

    async def _failure(
        self, client: Client, name: str, error: MCPError, timeout: float
    ) -> ToolError:
        """Return what is told of a call that the server, or the way to it, has failed."""
        if error.code == REQUEST_TIMEOUT:
            return ToolError(f"{name} did not end within {timeout:g} s", ToolCode.TIMED_OUT)
        if TOO_LARGE in error.message:
            return ToolError(TOO_LARGE, ToolCode.RESULT_TOO_LARGE)
        if error.code == PARSE_ERROR and "validation error" in error.message:  # and what it was
            said = "the MCP server answered with what is no message"
            return ToolError(said, ToolCode.RESULT_REFUSED)
        is_there = client is self._client and await self._is_alive(client)
        return ToolError(error.message) if is_there else _lost_meanwhile()

    def _there(self) -> Client:
        if self._client is None:
            raise ToolError(self._problem, ToolCode.TOOL_UNAVAILABLE)
        return self._client

    async def _is_alive(self, client: Client) -> bool:
        try:
            async with asyncio.timeout(_LIST_S):
                await client.list_tools(cache_mode="refresh")
        except Exception as error:  # noqa: BLE001 - however it fails, the answer is no
            self._lose(_reason(error), client)
            return False
        return True

    def _lose(self, why: str, client: Client | None = None) -> None:
        """Give the connection up, or the one through ``client`` if it is still that."""
        if client is None or client is self._client:
            self._client = None
            self._why = why
            self._problem = f"the MCP server was lost ({why}), and is being started again"
            self._lost.set()


def _lost_meanwhile() -> ToolError:
    said = "the MCP server was lost during the call; its outcome is not known"
    return ToolError(said, ToolCode.OUTCOME_UNKNOWN)


async def _listed(client: Client) -> list[Tool]:
    found: list[Tool] = []
    cursor: str | None = None
    while len(found) < _LONGEST_LIST:
        with tracing.unseen():
            page = await client.list_tools(cursor=cursor, cache_mode="refresh")
        found += page.tools
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


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
        return "it does not answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
