"""Where the tools that this agent offers are run for others, side by side, each within its time."""

import asyncio
from typing import Any

from oblivion._calls import Calls
from oblivion._clock import Clock, within
from oblivion._crew import Crew, Handling
from oblivion._json import to_json
from oblivion._lanes import Job, Lanes
from oblivion._logging import get_log
from oblivion._offered import OfferedTools, failure
from oblivion.errors import InvalidArgument, OblivionError
from oblivion.protocol import (
    Acknowledged,
    EventType,
    ToolAnswer,
    ToolCallPayload,
    ToolOffer,
)

_log = get_log("tools")


class ToolServer:
    """Runs the functions of :class:`OfferedTools` and answers with what they return."""

    def __init__(
        self, offered: OfferedTools, calls: Calls, crew: Crew, clock: Clock, bound: int
    ) -> None:
        self._offered = offered
        self._calls = calls
        self._crew = crew
        self._clock = clock
        self._lanes = Lanes(bound)
        self._is_open = True

    @property
    def full(self) -> bool:
        """Whether as many calls run as the bound allows."""
        return self._lanes.full

    @property
    def offers(self) -> list[ToolOffer] | None:
        """What Nexus is told; None where this agent has nothing to do with tools."""
        offers = self._offered.offers()
        return offers if offers and self._is_open else [] if offers else None

    def serve(self, call: ToolCallPayload) -> None:
        """Run what the call asks for, and answer it."""
        name = f"{call.tool}.{call.action}"
        what = Handling(EventType.TOOL_CALL, call.task_id, tool=name)

        async def run() -> None:
            await self._answer(call, what)

        if not self._lanes.submit(call.call_id, Job(run=run)):
            _log.warning("tool_call_left_out", call_id=call.call_id)

    def retire(self) -> None:
        """Offer nothing any more."""
        self._is_open = False

    async def settled(self) -> None:
        """Wait until every call has been answered."""
        await self._lanes.settled()

    async def close(self, grace: float) -> None:
        """Cancel what runs, and give it ``grace`` seconds to end."""
        await self._lanes.close(grace)

    async def _answer(self, call: ToolCallPayload, what: Handling) -> None:
        log = _log.bind(tool=call.tool, action=call.action, call_id=call.call_id)
        said = await self._run(call, what)
        try:
            await self._tell(call, said)
        except OblivionError as error:
            log.info("tool_answer_refused", reason=str(error))

    async def _tell(self, call: ToolCallPayload, said: ToolAnswer) -> None:
        try:
            await self._calls.call(EventType.TOOL_ANSWER, said, Acknowledged)
        except InvalidArgument as error:  # it does not fit into a frame
            short = ToolAnswer(call_id=call.call_id, success=False, error=str(error))
            await self._calls.call(EventType.TOOL_ANSWER, short, Acknowledged)

    async def _run(self, call: ToolCallPayload, what: Handling) -> ToolAnswer:
        log = _log.bind(tool=call.tool, action=call.action, call_id=call.call_id)
        try:
            async with within(self._clock, call.timeout_ms / 1000):
                result = await self._result(call, what)
        except TimeoutError:
            error = f"{call.tool}.{call.action} did not end within {call.timeout_ms / 1000:g} s"
            return ToolAnswer(call_id=call.call_id, success=False, error=error)
        except asyncio.CancelledError:
            log.info("tool_cancelled")
            raise
        except Exception as error:
            log.exception("tool_failed")
            return ToolAnswer(call_id=call.call_id, success=False, error=failure(error))
        return ToolAnswer(call_id=call.call_id, success=True, result=result)

    async def _result(self, call: ToolCallPayload, what: Handling) -> Any:
        handler = self._offered.get(call.tool, call.action)
        if handler is None:
            raise InvalidArgument(f"this agent does not offer {call.tool}.{call.action}")
        result = await self._crew.call(handler, call.params, what)
        return to_json(f"the result of {call.tool}.{call.action}", result)
