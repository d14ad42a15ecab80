"""Where the tools of the settings are placed on the shelf: how each is reached, and its secrets."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TextIO

import httpx2
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from nexus.domain.redaction import without_secrets
from nexus.domain.tool_settings import ToolSettings, Variables
from nexus.tools.mcp_server import McpServer
from nexus.tools.shelf import Placed, Stock

_log = logging.getLogger("nexus.tools")
_LONGEST_LINE = 500
_CONNECT_S = 10.0
_READ_S = 3700.0
"""Longer than any call may take, for an answer may come as late as that."""


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

    def connect() -> AbstractAsyncContextManager[Client]:
        if tool.url is not None:
            return _over_http(tool.url, headers)
        program, *arguments = tool.command
        parameters = StdioServerParameters(
            command=program, args=arguments, env=env, cwd=tool.cwd, encoding_error_handler="replace"
        )
        return _by_command(name, parameters)

    return McpServer(name, connect, tool.idempotent)


@asynccontextmanager
async def _over_http(url: str, headers: dict[str, str]) -> AsyncIterator[Client]:
    timeout = httpx2.Timeout(_CONNECT_S, read=_READ_S)
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, timeout=timeout))
        transport = streamable_http_client(url, http_client=http)
        yield await stack.enter_async_context(Client(transport, cache=None))


@asynccontextmanager
async def _by_command(name: str, parameters: StdioServerParameters) -> AsyncIterator[Client]:
    async with _complaints(name) as errlog, contextlib.AsyncExitStack() as stack:
        transport = stdio_client(parameters, errlog=errlog)
        yield await stack.enter_async_context(Client(transport, cache=None))


@asynccontextmanager
async def _complaints(name: str) -> AsyncIterator[TextIO]:
    """Yield what a program may write its complaints to; they go to the log, line by line."""
    read_end, write_end = os.pipe()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    pipe = os.fdopen(read_end, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    telling = loop.create_task(_tell(name, reader))
    try:
        with os.fdopen(write_end, "w") as errlog:
            yield errlog
    finally:
        telling.cancel()
        transport.close()


async def _tell(name: str, reader: asyncio.StreamReader) -> None:
    while True:
        try:
            line = await reader.readline()
        except ValueError:  # longer than the reader takes: what there is of it is dropped
            continue
        if not line:
            return
        said = without_secrets(line.decode(errors="replace").rstrip()[:_LONGEST_LINE])
        _log.debug("tool_said tool=%s line=%r", name, said)
