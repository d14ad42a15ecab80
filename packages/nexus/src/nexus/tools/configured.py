"""Where the tools of the settings are placed on the shelf: how each is reached, and its secrets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from mcp import Client

from nexus.domain.tool_settings import ToolSettings, Variables
from nexus.tools.filling import Fill
from nexus.tools.mcp_server import McpServer, OnEnd
from nexus.tools.provider import ToolError
from nexus.tools.shelf import Placed
from nexus.tools.stdio import Program, run_program
from nexus.tools.web import reach

_LOOK_S = 5.0
"""How often it is looked whether a secret was changed, that a server was given."""


def configured(
    tools: Mapping[str, ToolSettings], variables: Variables, secrets_of: Callable[[str], Fill]
) -> Mapping[str, Placed]:
    """Return what the settings describe; ``secrets_of`` a tenant fills its secrets in.

    Raises:
        MissingVariable: a tool's settings name a variable that is not there.
    """
    return {
        name: Placed(
            provider=_server(name, _filled(tool, variables), secrets_of(tool.tenants[0])),
            tenants=frozenset(tool.tenants),
        )
        for name, tool in tools.items()
    }


def _filled(tool: ToolSettings, variables: Variables) -> ToolSettings:
    known = {"env": variables.fill(tool.env), "headers": variables.fill(tool.headers)}
    return tool.model_copy(update=known)


def _server(name: str, tool: ToolSettings, fill: Fill) -> McpServer:
    @asynccontextmanager
    async def connect(on_end: OnEnd) -> AsyncIterator[Client]:
        given = await _given(tool, fill, on_end)
        async with _opened(name, given, on_end) as client:
            watch = asyncio.create_task(_watch(tool, given, fill, on_end))
            try:
                yield client
            finally:
                watch.cancel()
                await asyncio.wait({watch})

    return McpServer(name, connect, tool.idempotent)


async def _given(tool: ToolSettings, fill: Fill, on_end: OnEnd) -> ToolSettings:
    """Return the settings with the secrets that they name."""
    try:
        env, headers = await fill(tool.env), await fill(tool.headers)
    except ToolError as error:
        on_end(error.message)
        raise
    return tool.model_copy(update={"env": env, "headers": headers})


async def _watch(tool: ToolSettings, given: ToolSettings, fill: Fill, on_end: OnEnd) -> None:
    """Have the server started again when a secret has changed that it was given."""
    while True:
        await asyncio.sleep(_LOOK_S)
        with contextlib.suppress(ToolError):  # then it goes on with what it has
            if (await fill(tool.env), await fill(tool.headers)) != (given.env, given.headers):
                on_end("a secret of it was changed, and it is started again")
                return


def _opened(name: str, tool: ToolSettings, on_end: OnEnd) -> AbstractAsyncContextManager[Client]:
    if tool.url is not None:
        return _over_http(tool.url, tool.headers)
    return _by_command(name, Program(command=tool.command, env=tool.env, cwd=tool.cwd), on_end)


@asynccontextmanager
async def _over_http(url: str, headers: dict[str, str]) -> AsyncIterator[Client]:
    async with reach(url, headers) as transport, Client(transport, cache=None) as client:
        yield client


@asynccontextmanager
async def _by_command(name: str, program: Program, on_end: OnEnd) -> AsyncIterator[Client]:
    async with Client(run_program(name, program, on_end), cache=None) as client:
        yield client
