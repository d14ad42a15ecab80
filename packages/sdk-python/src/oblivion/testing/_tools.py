"""Where tools of a fake Nexus live: functions that a test gives."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from oblivion.protocol import ToolInfo, ToolRequest, ToolResultPayload

Answer = Callable[[dict[str, Any]], Any]
"""A function, async or plain, from the call's params to its result; what it raises is the error."""


class Tools:
    """The functions that answer ``request_tool``, and the requests that came."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], Answer] = {}
        self.requests: list[ToolRequest] = []

    def add(self, tool: str, answers: Mapping[str, Answer]) -> None:
        """Answer a tool's actions."""
        self._answers |= {(tool, action): answer for action, answer in answers.items()}

    def list(self) -> list[ToolInfo]:
        """Return what can be asked for."""
        return [ToolInfo(tool=tool, action=action) for tool, action in sorted(self._answers)]

    async def run(self, wish: ToolRequest) -> ToolResultPayload:
        """Return the result of a request."""
        self.requests.append(wish)
        answer = self._answers.get((wish.tool, wish.action))
        if answer is None:
            error = f"unknown tool {wish.tool!r}: no tool of that name is registered in this Nexus"
            return ToolResultPayload(request_id=wish.request_id, success=False, error=error)
        try:
            said = answer(wish.params)
            result = await said if inspect.isawaitable(said) else said
        except Exception as error:  # noqa: BLE001 - it is the answer that the agent gets
            return ToolResultPayload(request_id=wish.request_id, success=False, error=str(error))
        return ToolResultPayload(request_id=wish.request_id, success=True, result=result)
