"""Where tasks are worked on: one handler call per attempt, in slots, with its outcome reported."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from oblivion._crew import Crew, Handling
from oblivion._desk import Desk
from oblivion._handlers import Handler
from oblivion._held import Hold
from oblivion._json import to_json
from oblivion._logging import get_log
from oblivion.errors import (
    InvalidArgument,
    LeaseLost,
    OblivionError,
    PayloadRefused,
)
from oblivion.protocol import EventType, TaskAssignedPayload, TaskStatus

_ERROR_LENGTH = 4_000
_DRAINED = "the client stops"

_log = get_log("tasks")


@dataclass(slots=True, eq=False)
class Run:
    """One attempt at a task: its lease, its handler's task, and why that was cancelled."""

    payload: TaskAssignedPayload
    hold: Hold
    task: asyncio.Task[None] | None = None
    handled: bool = False
    cancelled_for: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended, as the update that says so."""

    status: TaskStatus
    result: Any = None
    error: str | None = None


HAND_BACK = Outcome(status=TaskStatus.TODO)


class Runner:
    """The attempts at work (at most ``slots``) and those that wait for a slot."""

    def __init__(
        self,
        handler: Handler | None,
        desk: Desk,
        crew: Crew,
        slots: int,
        on_change: Callable[[], None],
    ) -> None:
        self._handler = handler
        self._desk = desk
        self._crew = crew
        self._slots = slots
        self._on_change = on_change
        self._runs: set[Run] = set()
        self._waiting: deque[Run] = deque()
        self._parked: dict[str, Run] = {}
        self._stopping = False

    @property
    def waiting(self) -> int:
        """How many assigned tasks wait for a slot."""
        return len(self._waiting)

    @property
    def free_slots(self) -> int:
        """How many more tasks could start now."""
        taken = len(self._runs) + len(self._waiting)
        return 0 if self._stopping else max(0, self._slots - taken)

    def assign(self, payload: TaskAssignedPayload) -> None:
        """Work on a task as soon as a slot is free; hand it back if this agent takes none."""
        older = self._desk.held.get(payload.task_id)
        hold = self._desk.held.take(payload.task_id, payload.attempt)
        if hold is None:
            _log.debug("task_known", task_id=payload.task_id, attempt=payload.attempt)
            return
        if older is not None:
            self.cancel(older.task_id, older.attempt, "superseded by a later attempt")
        run = Run(payload, hold)
        if self._handler is None or self._stopping:
            self._start(run, self._hand_back(run))
        else:
            self._waiting.append(run)
            self._fill(self._handler)

    def answered(self, task_id: str) -> None:
        """Hand back a task that its handler left blocked, now that a person has answered.

        The handler is then called again, and finds the answer in the thread.
        """
        run = self._parked.pop(task_id, None)
        if run is not None and self._holds(run):
            run.hold.moved = False
            self._start(run, self._hand_back(run))

    def cancel(self, task_id: str, attempt: int, reason: str) -> None:
        """Cancel the handler of one attempt, and only that; its outcome is not reported."""
        for run in [*self._waiting, *self._runs]:
            if run.payload.task_id == task_id and run.payload.attempt == attempt:
                self._cancel(run, reason)

    def stop(self) -> None:
        """Start nothing any more; hand back what waits."""
        self._stopping = True
        while self._waiting:
            run = self._waiting.popleft()
            self._start(run, self._hand_back(run))

    async def settled(self) -> None:
        """Wait until no attempt is at work."""
        while tasks := [run.task for run in self._runs if run.task is not None]:
            await asyncio.wait(tasks)

    async def interrupt(self, grace: float, *, hand_back: bool) -> None:
        """Cancel the handlers, and give them ``grace`` seconds to end."""
        running = [run for run in self._runs if not run.handled]
        for run in running:
            self._cancel(run, _DRAINED if hand_back else "the session ended")
        tasks = [run.task for run in running if run.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=grace)

    def _cancel(self, run: Run, reason: str) -> None:
        if run in self._waiting:
            self._waiting.remove(run)
            self._on_change()
        elif run.task is not None and not run.handled and run.cancelled_for is None:
            run.cancelled_for = reason
            run.task.cancel()

    def _fill(self, handler: Handler) -> None:
        while self._waiting and len(self._runs) < self._slots:
            run = self._waiting.popleft()
            self._start(run, self._execute(handler, run))

    def _start(self, run: Run, work: Coroutine[Any, Any, None]) -> None:
        self._runs.add(run)
        run.task = asyncio.create_task(work, name=f"oblivion-task-{run.payload.task_id}")
        run.task.add_done_callback(lambda _ended: self._ended(run))

    def _ended(self, run: Run) -> None:
        self._runs.discard(run)
        if self._handler is not None and not self._stopping:
            self._fill(self._handler)
        self._on_change()

    async def _execute(self, handler: Handler, run: Run) -> None:
        outcome = await self._outcome(handler, run)
        run.handled = True
        if outcome is not None:
            await self._report(run, outcome)
        self._park(run)

    def _park(self, run: Run) -> None:
        """Remember a task that is still held without a handler: the author has blocked it."""
        self._parked = {name: one for name, one in self._parked.items() if self._holds(one)}
        if run.hold.moved and self._holds(run):
            self._parked[run.payload.task_id] = run

    def _holds(self, run: Run) -> bool:
        return self._desk.held.get(run.hold.task_id) is run.hold

    async def _hand_back(self, run: Run) -> None:
        run.handled = True
        _log.info("task_handed_back", task_id=run.payload.task_id)
        await self._report(run, HAND_BACK)

    async def _outcome(self, handler: Handler, run: Run) -> Outcome | None:
        """Call the handler; None if its lease was lost and nobody waits for a report."""
        payload, log = run.payload, _log.bind(task_id=run.payload.task_id)
        log.debug("task_started", attempt=payload.attempt)
        what = Handling(EventType.TASK_ASSIGNED, payload.task_id, payload.attempt)
        try:
            return _success(await self._crew.call(handler, payload, what))
        except asyncio.CancelledError as error:
            return self._cancelled(run, error)
        except Exception as error:
            log.exception("handler_failed", attempt=payload.attempt)
            return _failure(error)

    def _cancelled(self, run: Run, error: asyncio.CancelledError) -> Outcome | None:
        """Tell who cancelled the handler: this client, the loop's end, or its own code."""
        if run.cancelled_for is not None:
            reason = run.cancelled_for
            _log.info("handler_cancelled", task_id=run.payload.task_id, reason=reason)
            return HAND_BACK if reason == _DRAINED else None
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise error
        return _failure(error)

    async def _report(self, run: Run, outcome: Outcome) -> None:
        hold, log = run.hold, _log.bind(task_id=run.payload.task_id)
        if hold.moved or not self._holds(run):
            return
        try:
            await self._write(hold, outcome)
        except LeaseLost:
            log.info("report_too_late", status=outcome.status)
        except OblivionError as error:
            log.warning("report_failed", status=outcome.status, reason=str(error))
            # Named in no heartbeat any more, the lease runs out and the task is tried again.
            self._desk.held.drop(hold.task_id, hold.attempt)
        else:
            log.info("task_ended", status=outcome.status, error=outcome.error)

    async def _write(self, hold: Hold, outcome: Outcome) -> None:
        try:
            await self._desk.report(
                hold, outcome.status, result=outcome.result, error=outcome.error
            )
        except (InvalidArgument, PayloadRefused) as error:
            if outcome.status is not TaskStatus.DONE:
                raise
            reason = f"the result could not be delivered: {error}"
            await self._desk.report(hold, TaskStatus.FAILED, error=reason)


def _success(result: object) -> Outcome:
    try:
        return Outcome(status=TaskStatus.DONE, result=to_json("the handler's result", result))
    except InvalidArgument as error:
        return _failure(error)


def _failure(error: BaseException) -> Outcome:
    """Say what went wrong the way Python does: the type, then the message."""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    readable = said.encode(errors="replace").decode().replace("\x00", "\\x00")
    return Outcome(status=TaskStatus.FAILED, error=readable[:_ERROR_LENGTH])
