"""Where the seam to tools lives: what the runner may ask of whoever carries calls out."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from nexus.domain.tool_catalogue import Action
from oblivion.protocol import ToolCode


class ToolError(Exception):
    """A call came to nothing; the message is for the agent that asked, and holds no secret."""

    def __init__(self, message: str, code: ToolCode = ToolCode.TOOL_FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Provider(Protocol):
    """A tool: something that Nexus can do for agents."""

    async def list_tools(self) -> Sequence[Action]:
        """Return what it can do just now.

        Raises:
            ToolError: it cannot be used; the message says why.
        """
        ...

    async def call(self, action: str, params: Mapping[str, Any], timeout: float) -> Any:
        """Do it, and return JSON; ``timeout`` in seconds is when nobody waits any more.

        Raises:
            ToolError: it came to nothing.
        """
        ...

    async def run(self) -> None:
        """Live until cancelled: hold on to whatever the tool needs, and close it."""
        ...
