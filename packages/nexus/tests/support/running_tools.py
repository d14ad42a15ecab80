"""Where tests run a built-in tool that keeps connections: it is ready inside the block."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from eventually import eventually
from nexus.tools.builtins import GitHub, SlackTool

Tool = TypeVar("Tool", GitHub, SlackTool)


@asynccontextmanager
async def running(tool: Tool) -> AsyncIterator[Tool]:
    """Run a tool; it is stopped on the way out."""
    task = asyncio.create_task(tool.run())

    async def ready() -> bool:
        return tool._connections.is_open

    await eventually(ready, what="the tool is ready")
    try:
        yield tool
    finally:
        task.cancel()
        await asyncio.wait({task})
