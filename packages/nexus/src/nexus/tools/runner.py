"""Where calls of tools are made: off the commit path, each within its time, each to an end."""

import asyncio
import contextlib
import logging
from functools import partial
from typing import Any

from nexus.domain.errors import Unavailable
from nexus.domain.tool_calls import Outcome
from nexus.services import tool_calls, tool_runs
from nexus.services.platform import Platform
from nexus.services.tool_runs import Keeper, Start, Step
from nexus.tools import metrics, tracing
from nexus.tools.output import Inspection
from nexus.tools.provider import Provider, ToolError
from nexus.tools.shelf import Shelf
from oblivion.protocol import ToolCode

_log = logging.getLogger("nexus.tools")
_POLL_S = 1.0
_DRAIN_S = 5.0
_MOST_AT_ONCE = 256
"""Calls that are looked after at the same time; further ones wait in the database."""


class Runner:
    """Looks after every call that is at hand, until cancelled."""

    def __init__(self, platform: Platform, shelf: Shelf, inspection: Inspection) -> None:
        self._platform = platform
        self._shelf = shelf
        self._inspection = inspection
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._is_draining = False

    async def recover(self) -> None:
        """See to the calls that ended with the process before this one; call it at the start."""
        if not self._platform.is_shared:  # else that process may be another node, and alive
            await self._settle(alone=True)

    async def run(self) -> None:
        """Look after calls whenever there are some, and once a second in any case."""
        wanted = asyncio.Event()
        stop = self._platform.bus.listen(tool_calls.RUNNER, wanted.set)
        try:
            while True:
                wanted.clear()
                await self._look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_S):
                        await wanted.wait()
        finally:
            stop()

    async def drain(self) -> None:
        """Begin nothing new, give what is at work a moment to end, and then give it up."""
        self._is_draining = True
        at_work = set(self._at_work.values())
        if at_work:
            await asyncio.wait(at_work, timeout=_DRAIN_S)
        for task in at_work:
            task.cancel()
        if at_work:
            await asyncio.wait(at_work, timeout=_DRAIN_S)
            with contextlib.suppress(Unavailable):
                await self._settle(alone=False)

    def _keeper(self) -> Keeper:
        node_id, gate = self._platform.node_id, self._shelf.gate
        return Keeper(node_id=node_id, gate=gate, check=self._inspection)

    async def _settle(self, *, alone: bool) -> None:
        platform = self._platform
        steps = await platform.store.write(tool_runs.recover, self._keeper(), alone=alone)
        for step in steps:
            await self._note(step)

    async def _look(self) -> None:
        try:
            found = await self._platform.store.read(tool_calls.due, self._platform.node_id)
        except Unavailable as error:
            _log.warning("store_unavailable reason=%r", error.message)
            return
        for call_id in found:
            if self._is_draining or len(self._at_work) >= _MOST_AT_ONCE:
                return
            if call_id not in self._at_work:
                task = asyncio.create_task(self._look_after(call_id), name=f"tool call {call_id}")
                self._at_work[call_id] = task
                task.add_done_callback(partial(self._ended, call_id))

    def _ended(self, call_id: str, task: asyncio.Task[None]) -> None:
        del self._at_work[call_id]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("tool_call_failed call_id=%s", call_id, exc_info=error)

    async def _look_after(self, call_id: str) -> None:
        platform = self._platform
        step = await platform.store.write(tool_runs.look_after, call_id, self._keeper())
        await self._note(step)
        if step.start is not None:
            with tracing.making(step.start.call) as span:
                outcome = await self._make(step.start)
                tracing.made(span, outcome)
            await self._note(await self._conclude(call_id, outcome), traced=True)

    async def _conclude(self, call_id: str, outcome: Outcome) -> Step:
        """Keep what came of a call; while the store does not answer, try again."""
        while True:
            try:
                return await self._platform.store.write(
                    tool_runs.conclude, call_id, self._keeper(), outcome
                )
            except Unavailable as error:
                _log.warning("store_unavailable reason=%r", error.message)
                await asyncio.sleep(_POLL_S)

    async def _note(self, step: Step, *, traced: bool = False) -> None:
        if step.end is not None:
            await self._platform.anchor.hold(step.end)
        if step.ended is None:
            return
        metrics.count(step.ended)
        if not traced:
            tracing.tell(step.ended)

    async def _make(self, start: Start) -> Outcome:
        """Have the tool do it; whatever it does, this ends in time."""
        provider = self._shelf.provider(start.action.tool)
        if provider is None:
            error = f"this node has no tool {start.action.tool!r}"
            return self._inspection.failure(error, ToolCode.TOOL_UNAVAILABLE)
        seconds = start.timeout_ms / 1000
        call = asyncio.ensure_future(self._call(provider, start))
        done, _ = await _wait(call, seconds)
        if not done:
            error = f"{start.action.name} did not end within {seconds:g} s"
            return Outcome(error=error, code=ToolCode.TIMED_OUT)
        return call.result()

    async def _call(self, provider: Provider, start: Start) -> Outcome:
        try:
            seconds = start.timeout_ms / 1000
            data = await provider.call(start.action.action, start.params, seconds)
            return self._inspection(data, start.max_result_bytes)
        except ToolError as error:
            return self._inspection.failure(error.message, error.code)
        except Exception:  # noqa: BLE001 - whatever a tool does, the call has an end
            _log.exception("tool_failed tool=%s call_id=%s", start.action.name, start.call_id)
            return self._inspection.failure("the tool failed; Nexus's log says why")


async def _wait(call: "asyncio.Future[Outcome]", seconds: float) -> tuple[set[Any], set[Any]]:
    """Wait for a call at most so long; one that goes on is cancelled, and not waited for."""
    try:
        return await asyncio.wait({call}, timeout=seconds)
    finally:
        if not call.done():
            call.cancel()
