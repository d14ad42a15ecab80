"""Where a built-in tool's connections to its service are kept, as long as the tool runs."""

import asyncio

import aiohttp

from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode


class Connections:
    """Connections over HTTP to the service of a tool; ``tool`` is its name."""

    def __init__(self, tool: str) -> None:
        self._tool = tool
        self._http: aiohttp.ClientSession | None = None

    async def run(self) -> None:
        """Keep connections until cancelled."""
        async with aiohttp.ClientSession() as http:
            self._http = http
            try:
                await asyncio.Event().wait()
            finally:
                self._http = None

    @property
    def is_open(self) -> bool:
        """Whether requests can be made."""
        return self._http is not None

    @property
    def http(self) -> aiohttp.ClientSession:
        """What requests are made with.

        Raises:
            ToolError: the tool does not run yet, or any more.
        """
        if self._http is None:
            raise ToolError(f"{self._tool} is still being started", ToolCode.TOOL_UNAVAILABLE)
        return self._http
