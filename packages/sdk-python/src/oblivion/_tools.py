"""Where tool requests wait for their results."""

import asyncio
import uuid
from typing import Any

from pydantic import ValidationError

from oblivion._calls import Calls
from oblivion._clock import Clock, within
from oblivion._desk import build
from oblivion._json import as_object
from oblivion._link import unreadable
from oblivion.errors import InvalidArgument, OblivionError, UsageError
from oblivion.protocol import EventType, ToolRequest, ToolResultPayload


class Tools:
    """The tool requests under way, by request id."""

    def __init__(self, calls: Calls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock
        self._waiting: dict[str, asyncio.Future[ToolResultPayload]] = {}

    def resolve(self, result: ToolResultPayload) -> None:
        """Give a result to the request that waits for it, if one still does."""
        waiter = self._waiting.get(result.request_id)
        if waiter is not None and not waiter.done():
            waiter.set_result(result)

    async def request(
        self, tool: str, action: str, params: dict[str, Any], timeout: float, task_id: str | None
    ) -> ToolResultPayload:
        """Run a tool; a refusal, a time-out or the session's end is a result without success."""
        request = build(
            ToolRequest,
            request_id=str(uuid.uuid4()),
            tool=tool,
            action=action,
            params=params,
            task_id=task_id,
            timeout_ms=max(1, round(timeout * 1000)),
        )
        try:
            async with within(self._clock, timeout):
                return await self._exchange(request)
        except TimeoutError:
            return _failed(request, f"no result of {tool}.{action} within {timeout:g} s")
        except (InvalidArgument, UsageError):
            raise
        except OblivionError as error:
            return _failed(request, str(error))

    def fail(self, reason: str) -> None:
        """End all requests with the session."""
        for request_id in list(self._waiting):
            self.resolve(ToolResultPayload(request_id=request_id, success=False, error=reason))

    async def _exchange(self, request: ToolRequest) -> ToolResultPayload:
        """Return the result that came as an event, or with the acknowledgement itself."""
        waiter: asyncio.Future[ToolResultPayload] = asyncio.get_running_loop().create_future()
        self._waiting[request.request_id] = waiter
        try:
            said = await self._calls.exchange(EventType.TOOL_REQUEST, request)
            return _in_acknowledgement(said) or await waiter
        finally:
            del self._waiting[request.request_id]


def _in_acknowledgement(said: Any) -> ToolResultPayload | None:
    answer = as_object(said)
    if answer.get("type") != EventType.TOOL_RESULT:
        return None
    try:
        return ToolResultPayload.model_validate(answer.get("payload"))
    except ValidationError as error:
        raise unreadable("tool_request", f"{error.error_count()} problem(s)") from None


def _failed(request: ToolRequest, reason: str) -> ToolResultPayload:
    return ToolResultPayload(request_id=request.request_id, success=False, error=reason)
