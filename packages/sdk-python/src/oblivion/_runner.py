"""Where tasks are worked on: one handler call per attempt, in slots, with its outcome reported."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from oblivion._crew import Crew, Handling
from oblivion._desk import Desk
from oblivion._handlers import Handler
from oblivion._held import Hold
from oblivion._json import to_json
from oblivion._logging import get_log
from oblivion._mail import Mail, Message
from oblivion._steering import Steering
from oblivion._telemetry import arrived_with
from oblivion.errors import (
    InvalidArgument,
    LeaseLost,
    OblivionError,
    PayloadRefused,
)
from oblivion.protocol import ContextUpdatePayload, EventType, TaskAssignedPayload, TaskStatus

_ERROR_LENGTH = 4_000
_DRAINED = "the client stops"
_REMEMBERED = 256
"""So many tasks that ended are remembered, for messages that come too late."""

_log = get_log("tasks")


@dataclass(slots=True, eq=False)
class Run:
    """One attempt at a task: its lease, its handler's task, and why that was cancelled.

    The handler ``is_called`` right now, was ``interrupted`` to be called again with what was
    ``said``, or has ``handled`` the attempt.
    """

    payload: TaskAssignedPayload
    hold: Hold
    mail: Mail
    traceparent: str | None = field(default_factory=arrived_with)
    task: asyncio.Task[None] | None = None
    said: list[ContextUpdatePayload] = field(default_factory=list[ContextUpdatePayload])
    is_called: bool = False
    interrupted: bool = False
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
        steering: Steering,
        slots: int,
        on_change: Callable[[], None],
    ) -> None:
        self._handler = handler
        self._desk = desk
        self._crew = crew
        self._steering = steering
        self._slots = slots
        self._on_change = on_change
        self._runs: set[Run] = set()
        self._waiting: deque[Run] = deque()
        self._parked: dict[str, Run] = {}
        self._ended_lately: OrderedDict[str, None] = OrderedDict()
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
        run = Run(payload, hold, self._steering.open())
        if self._handler is None or self._stopping:
            self._start(run, self._hand_back(run))
        else:
            self._waiting.append(run)
            self._fill(self._handler)

    def hear(self, message: Message) -> bool:
        """Give a message to the attempt at work; False if it is for ``on_context_update``."""
        run = self._at_work(message[0].task_id)
        if run is not None and self._holds(run):
            taken = self._steering.take(message, run.mail)
            if taken and self._steering.policy == "interrupt":
                self._interrupt(run)
            return taken
        return self._has_ended(message[0].task_id, run) and self._steering.late(message)

    def mail_of(self, hold: Hold) -> Mail:
        """Return what people write to the handler at work under a lease.

        Raises:
            LeaseLost: no handler is at work on the task.
        """
        run = self._at_work(hold.task_id)
        if run is None or run.hold is not hold:
            raise LeaseLost(
                f"no handler is at work on the task {hold.task_id!r}: read its messages in "
                "on_task_assigned, before it returns",
                code="lease_lost",
            )
        return run.mail

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
            self._steering.close(run.mail, finished=False)
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
        while self._begins_again(run):
            outcome = await self._outcome(handler, run)
        self._note_handled(run, handed_back=outcome is None or outcome is HAND_BACK)
        if outcome is not None:
            await self._report(run, outcome)
        self._park(run)

    def _park(self, run: Run) -> None:
        """Remember a task that is still held without a handler: the author has blocked it."""
        self._parked = {name: one for name, one in self._parked.items() if self._holds(one)}
        if run.hold.moved and self._holds(run):
            self._parked[run.payload.task_id] = run

    def _at_work(self, task_id: str) -> Run | None:
        """Return the newest attempt at a task that waits for its handler, or for its end."""
        runs = [*self._waiting, *self._runs]
        open_ = [run for run in runs if run.hold.task_id == task_id and not run.handled]
        return max(open_, key=lambda run: run.hold.attempt, default=None)

    def _has_ended(self, task_id: str, run: Run | None) -> bool:
        """Whether an agent ended its work on a task, so that nobody will read what comes."""
        if run is not None:
            return run.cancelled_for is None
        return task_id in self._ended_lately and task_id not in self._parked

    def _interrupt(self, run: Run) -> None:
        """Have the handler called again; one that was not called yet has all it needs."""
        if run.is_called and not run.interrupted and run.task is not None:
            run.interrupted = True
            run.task.cancel()

    def _begins_again(self, run: Run) -> bool:
        """Whether people interrupted the handler, and the attempt goes on."""
        if not run.interrupted:
            return False
        run.interrupted = False
        task = asyncio.current_task()
        others = task.uncancel() if task is not None else 0
        ended = run.cancelled_for is not None or run.hold.moved or not self._holds(run)
        return not (others or ended)

    def _note_handled(self, run: Run, *, handed_back: bool) -> None:
        run.handled = True
        finished = run.hold.moved or not handed_back
        self._steering.close(run.mail, finished=finished)
        if finished:
            self._ended_lately[run.hold.task_id] = None
            if len(self._ended_lately) > _REMEMBERED:
                self._ended_lately.popitem(last=False)

    def _holds(self, run: Run) -> bool:
        return self._desk.held.get(run.hold.task_id) is run.hold

    async def _hand_back(self, run: Run) -> None:
        self._note_handled(run, handed_back=True)
        _log.info("task_handed_back", task_id=run.payload.task_id)
        await self._report(run, HAND_BACK)

    async def _outcome(self, handler: Handler, run: Run) -> Outcome | None:
        """Call the handler; None if its lease was lost and nobody waits for a report."""
        payload, log = run.payload, _log.bind(task_id=run.payload.task_id)
        log.debug("task_started", attempt=payload.attempt)
        what = Handling(
            EventType.TASK_ASSIGNED,
            payload.task_id,
            payload.attempt,
            traceparent=run.traceparent,
        )
        run.is_called = True
        try:
            return _success(await self._crew.call(handler, self._brief(run), what))
        except asyncio.CancelledError as error:
            return self._cancelled(run, error)
        except Exception as error:
            log.exception("handler_failed", attempt=payload.attempt)
            return _failure(error)
        finally:
            run.is_called = False

    def _brief(self, run: Run) -> TaskAssignedPayload:
        """Return the task as its handler is told of it, with what people said meanwhile."""
        if self._steering.policy != "interrupt":
            return run.payload
        while (message := run.mail.take()) is not None:
            run.said.append(message)
        return run.payload.model_copy(update={"messages": list(run.said)})

    def _cancelled(self, run: Run, error: asyncio.CancelledError) -> Outcome | None:
        """Tell who cancelled the handler: this client, the loop's end, or its own code."""
        if run.cancelled_for is not None:
            reason = run.cancelled_for
            _log.info("handler_cancelled", task_id=run.payload.task_id, reason=reason)
            return HAND_BACK if reason == _DRAINED else None
        if run.interrupted:
            _log.info("handler_interrupted", task_id=run.payload.task_id)
            return None
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
