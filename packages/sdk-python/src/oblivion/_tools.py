"""Where tool requests wait for their results."""

import asyncio
import uuid
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from oblivion._calls import Calls
from oblivion._clock import Clock, Deadline, within
from oblivion._desk import build
from oblivion._json import as_object
from oblivion._link import unreadable
from oblivion._logging import get_log
from oblivion._telemetry import requesting
from oblivion.errors import InvalidArgument, OblivionError, UsageError
from oblivion.protocol import (
    EventType,
    ToolCode,
    ToolRequest,
    ToolResultPayload,
    ToolWaitingPayload,
)

_GRACE_SECONDS = 5.0
"""How much longer than Nexus gives a call it is waited for."""

_log = get_log("tools")


@dataclass(slots=True, eq=False)
class _Waiter:
    """One request under way, and how long its tool may take."""

    result: "asyncio.Future[ToolResultPayload]"
    deadline: Deadline
    seconds: float


class Tools:
    """The tool requests under way, by request id."""

    def __init__(self, calls: Calls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock
        self._waiting: dict[str, _Waiter] = {}

    def resolve(self, result: ToolResultPayload) -> None:
        """Give a result to the request that waits for it, if one still does."""
        waiter = self._waiting.get(result.request_id)
        if waiter is not None and not waiter.result.done():
            waiter.result.set_result(result)

    def hold_on(self, notice: ToolWaitingPayload) -> None:
        """Give a request the time that a person may take, and the tool its own after that."""
        waiter = self._waiting.get(notice.request_id)
        if waiter is not None:
            person = notice.expires_in_ms / 1000
            _log.info("tool_waits_for_approval", request_id=notice.request_id, seconds=person)
            waiter.deadline.set(person + waiter.seconds + _GRACE_SECONDS)

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
            waits=True,
        )
        with requesting(f"{tool}.{action}", request.request_id) as mark:
            result = await self._result(request, timeout)
            if not result.success:
                mark.failed(result.code or "tool_failed")
        return result

    async def _result(self, request: ToolRequest, timeout: float) -> ToolResultPayload:
        tool, action = request.tool, request.action
        try:
            async with within(self._clock, timeout) as deadline:
                return await self._exchange(request, deadline, timeout)
        except TimeoutError:
            error = f"no result of {tool}.{action} within {timeout:g} s"
            return _failed(request, error, ToolCode.TIMED_OUT)
        except InvalidArgument as error:  # they do not fit into a frame
            return _failed(request, str(error), ToolCode.INVALID_PARAMS)
        except UsageError:
            raise
        except OblivionError as error:
            return _failed(request, str(error), getattr(error, "code", ToolCode.SESSION_ENDED))

    def fail(self, reason: str) -> None:
        """End all requests with the session."""
        for request_id in list(self._waiting):
            self.resolve(
                ToolResultPayload(
                    request_id=request_id,
                    success=False,
                    error=reason,
                    code=ToolCode.SESSION_ENDED,
                )
            )

    async def _exchange(
        self, request: ToolRequest, deadline: Deadline, seconds: float
    ) -> ToolResultPayload:
        """Return the result that came as an event, or with the acknowledgement itself."""
        result: asyncio.Future[ToolResultPayload] = asyncio.get_running_loop().create_future()
        self._waiting[request.request_id] = _Waiter(result, deadline, seconds)
        try:
            said = await self._calls.exchange(EventType.TOOL_REQUEST, request)
            return _in_acknowledgement(said) or await result
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


def _failed(request: ToolRequest, reason: str, code: str) -> ToolResultPayload:
    return ToolResultPayload(request_id=request.request_id, success=False, error=reason, code=code)
