"""Where the tools of the settings are placed on the shelf: how each is reached, and its secrets."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from mcp import Client

from nexus.domain.tool_settings import ToolSettings, Variables
from nexus.tools.mcp_server import McpServer, OnEnd
from nexus.tools.shelf import Placed, Stock
from nexus.tools.stdio import Program, run_program
from nexus.tools.web import reach


def configured(tools: Mapping[str, ToolSettings], environ: Mapping[str, str]) -> Stock:
    """Return what the settings describe.

    Raises:
        MissingVariable: a tool's settings name a variable that is not there.
    """
    variables = Variables(environ)
    placed = {
        name: Placed(provider=_server(name, tool, variables), tenants=frozenset(tool.tenants))
        for name, tool in tools.items()
    }
    return Stock(tools=placed, secrets=frozenset(variables.secrets))


def _server(name: str, tool: ToolSettings, variables: Variables) -> McpServer:
    env, headers = variables.fill(tool.env), variables.fill(tool.headers)

    def connect(on_end: OnEnd) -> AbstractAsyncContextManager[Client]:
        if tool.url is not None:
            return _over_http(tool.url, headers)
        return _by_command(name, Program(command=tool.command, env=env, cwd=tool.cwd), on_end)

    return McpServer(name, connect, tool.idempotent)


@asynccontextmanager
async def _over_http(url: str, headers: dict[str, str]) -> AsyncIterator[Client]:
    async with reach(url, headers) as transport, Client(transport, cache=None) as client:
        yield client


@asynccontextmanager
async def _by_command(name: str, program: Program, on_end: OnEnd) -> AsyncIterator[Client]:
    async with Client(run_program(name, program, on_end), cache=None) as client:
        yield client
