"""Where events from Nexus find their way: to the runner, the handlers, or who waits for them."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any

from oblivion._acks import Acknowledger
from oblivion._audience import Audience, Ending
from oblivion._claimer import Claimer
from oblivion._crew import Handling
from oblivion._desk import Desk
from oblivion._inbox import Admission, Inbox, Receipt
from oblivion._incoming import Incoming, read
from oblivion._link import Link
from oblivion._logging import get_log
from oblivion._mail import Message
from oblivion._questions import Questions
from oblivion._runner import Runner
from oblivion._telemetry import arriving
from oblivion._tool_server import ToolServer
from oblivion._tools import Tools
from oblivion.errors import SessionSuperseded
from oblivion.protocol import (
    ContextUpdatePayload,
    EventType,
    GapPayload,
    HeartbeatPayload,
    ServerDrainingPayload,
    SlackMessagePayload,
    TaskAssignedPayload,
    TaskAvailablePayload,
    TaskCancelledPayload,
    TaskClaimedPayload,
    ToolCallPayload,
    ToolResultPayload,
    ToolWaitingPayload,
    WakeUpPayload,
    WireModel,
)

_log = get_log("events")


@dataclass(frozen=True, kw_only=True)
class Destinations:
    """Where events can go."""

    audience: Audience
    runner: Runner
    desk: Desk
    claimer: Claimer
    questions: Questions
    tools: Tools
    tool_server: ToolServer
    answer_heartbeat: Callable[[Link, HeartbeatPayload], None]
    note_draining: Callable[[ServerDrainingPayload], None]


class Dispatcher:
    """Takes every event once, in order, without waiting; acknowledges what is done.

    ``task_assigned`` and what is about tools is acknowledged at receipt, the other durable events
    when their handler ended. An event that cannot be read is acknowledged, too: sent again, it
    would be no better. So is work that was withdrawn while the agent was away; nothing begins with
    it.
    """

    def __init__(self, inbox: Inbox, acks: Acknowledger, bound: int, to: Destinations) -> None:
        self._inbox = inbox
        self._acks = acks
        self._bound = bound
        self._to = to
        self.malformed = 0
        self._ways: dict[str, Callable[[Link, Any, Receipt], None]] = {
            EventType.TASK_ASSIGNED: self._task_assigned,
            EventType.TASK_AVAILABLE: self._task_available,
            EventType.TASK_CLAIMED: self._task_claimed,
            EventType.TASK_CANCELLED: self._task_cancelled,
            EventType.CONTEXT_UPDATE: self._context_update,
            EventType.SLACK_MESSAGE: self._slack_message,
            EventType.WAKE_UP: self._wake_up,
            EventType.TOOL_RESULT: self._tool_result,
            EventType.TOOL_WAITING: self._tool_waiting,
            EventType.TOOL_CALL: self._tool_call,
            EventType.HEARTBEAT: self._heartbeat,
            EventType.SUPERSEDED: self._superseded,
            EventType.SERVER_DRAINING: self._server_draining,
            EventType.GAP: self._gap,
        }

    def receive(self, link: Link, event: str, data: Any) -> None:
        """Take one event from a connection; never raises."""
        try:
            self._receive(link, event, data)
        except Exception:  # noqa: BLE001 - a mistake here must not cost the connection
            _log.exception("event_failed", type=event)

    def _receive(self, link: Link, event: str, data: Any) -> None:
        incoming = read(event, data)
        receipt = self._inbox.receipt(incoming.id, incoming.seq)
        if incoming.seq is not None and self._is_full():
            link.drop(f"{self._bound} events wait for their handlers (limits.queued_events)")
            return
        admission = self._inbox.admit(receipt)
        if admission is Admission.HANDLED:
            self._acks.finish(receipt)
        if admission is Admission.NEW:
            with arriving(incoming.traceparent):
                self._route(link, incoming, receipt)

    def to_handler(self, message: Message) -> None:
        """Pass a thread message on to the author's handler."""
        payload, receipt = message
        what = Handling(EventType.CONTEXT_UPDATE, payload.task_id)
        self._tell(what, payload, receipt, lane=payload.task_id)

    def _route(self, link: Link, incoming: Incoming, receipt: Receipt) -> None:
        if incoming.withdrawn:
            self._withdrawn(incoming.payload, receipt)
            return
        if incoming.payload is not None:
            self._ways[incoming.type](link, incoming.payload, receipt)
            return
        self._acks.finish(receipt)
        if incoming.problem is None:
            _log.debug("event_ignored", type=incoming.type)
            return
        self.malformed += 1
        _log.warning(
            "event_malformed",
            type=incoming.type,
            id=incoming.id,
            problem=incoming.problem,
            count=self.malformed,
        )

    def _is_full(self) -> bool:
        to = self._to
        return to.audience.full or to.tool_server.full or to.runner.waiting >= self._bound

    def _tell(self, what: Handling, payload: object, receipt: Receipt, *, lane: Hashable) -> None:
        """Call the author's handler, and acknowledge the event when it ended."""
        self._to.audience.tell(what, payload, lane=lane, then=partial(self._end, receipt))

    def _end(self, receipt: Receipt, ending: Ending) -> None:
        if ending is Ending.ENDED:
            self._acks.finish(receipt)
        elif ending is Ending.CANCELLED:
            self._inbox.abandon(receipt)
        else:
            self._inbox.forget(receipt)

    def _task_assigned(self, _link: Link, task: TaskAssignedPayload, receipt: Receipt) -> None:
        _log.info(EventType.TASK_ASSIGNED, task_id=task.task_id, title=task.title)
        self._acks.finish(receipt)
        self._to.runner.assign(task)
        self._to.claimer.arrived(task.task_id)

    def _withdrawn(self, work: WireModel | None, receipt: Receipt) -> None:
        self._acks.finish(receipt)
        if isinstance(work, TaskAssignedPayload):
            _log.info("assignment_withdrawn", task_id=work.task_id, attempt=work.attempt)
            self._to.claimer.arrived(work.task_id)
        elif isinstance(work, ToolCallPayload):
            _log.info("tool_call_withdrawn", call_id=work.call_id)

    def _task_available(self, _link: Link, task: TaskAvailablePayload, receipt: Receipt) -> None:
        _log.debug(EventType.TASK_AVAILABLE, task_id=task.task_id, title=task.title)
        if self._to.audience.listens(EventType.TASK_AVAILABLE):
            what = Handling(EventType.TASK_AVAILABLE, task.task_id)
            self._tell(what, task, receipt, lane=what.event)
            return
        self._acks.finish(receipt)
        self._to.claimer.offer(task)

    def _task_claimed(self, _link: Link, task: TaskClaimedPayload, receipt: Receipt) -> None:
        self._acks.finish(receipt)
        self._to.claimer.withdraw(task.task_id)

    def _task_cancelled(self, _link: Link, task: TaskCancelledPayload, receipt: Receipt) -> None:
        _log.info(EventType.TASK_CANCELLED, task_id=task.task_id, reason=task.reason)
        self._to.desk.lose(task.task_id, task.attempt, task.reason)
        self._to.claimer.withdraw(task.task_id)
        what = Handling(EventType.TASK_CANCELLED, task.task_id)
        self._tell(what, task, receipt, lane=(what.event, what.task_id))

    def _context_update(self, _link: Link, message: ContextUpdatePayload, receipt: Receipt) -> None:
        _log.debug(EventType.CONTEXT_UPDATE, task_id=message.task_id, author=message.author)
        if self._to.questions.take(message, receipt) or self._to.runner.hear((message, receipt)):
            return
        if message.is_human and not self._to.audience.listens(EventType.CONTEXT_UPDATE):
            self._to.runner.answered(message.task_id)
        self.to_handler((message, receipt))

    def _slack_message(self, _link: Link, said: SlackMessagePayload, receipt: Receipt) -> None:
        _log.debug(EventType.SLACK_MESSAGE, channel_id=said.channel_id, task_id=said.task_id)
        what = Handling(EventType.SLACK_MESSAGE, said.task_id)
        self._tell(what, said, receipt, lane=(what.event, said.channel_id))

    def _wake_up(self, _link: Link, call: WakeUpPayload, receipt: Receipt) -> None:
        _log.info(EventType.WAKE_UP, task_id=call.task_id, reason=call.reason)
        what = Handling(EventType.WAKE_UP, call.task_id)
        self._tell(what, call, receipt, lane=call.task_id or what.event)

    def _tool_result(self, _link: Link, result: ToolResultPayload, receipt: Receipt) -> None:
        _log.debug(EventType.TOOL_RESULT, request_id=result.request_id, success=result.success)
        self._acks.finish(receipt)
        self._to.tools.resolve(result)
        what = Handling(EventType.TOOL_RESULT)
        self._to.audience.tell(what, result, lane=what.event)

    def _tool_waiting(self, _link: Link, notice: ToolWaitingPayload, receipt: Receipt) -> None:
        self._acks.finish(receipt)
        self._to.tools.hold_on(notice)

    def _tool_call(self, _link: Link, call: ToolCallPayload, receipt: Receipt) -> None:
        """Acknowledged at receipt: a tool that took its agent down is not begun a second time."""
        _log.info(EventType.TOOL_CALL, tool=call.tool, action=call.action, call_id=call.call_id)
        self._acks.finish(receipt)
        self._to.tool_server.serve(call)

    def _heartbeat(self, link: Link, ping: HeartbeatPayload, receipt: Receipt) -> None:
        self._acks.finish(receipt)
        if ping.ping:
            self._to.answer_heartbeat(link, ping)

    def _superseded(self, link: Link, _payload: object, receipt: Receipt) -> None:
        self._acks.finish(receipt)
        reason = "a newer session of this agent took over"
        link.drop(reason, SessionSuperseded(f"{reason}; run one process per client_id"))

    def _server_draining(
        self, _link: Link, notice: ServerDrainingPayload, receipt: Receipt
    ) -> None:
        _log.info(EventType.SERVER_DRAINING, reconnect_after_ms=notice.reconnect_after_ms)
        self._acks.finish(receipt)
        self._to.note_draining(notice)

    def _gap(self, _link: Link, gap: GapPayload, _receipt: Receipt) -> None:
        _log.warning("events_lost", from_seq=gap.from_seq, to_seq=gap.to_seq)
        self._inbox.skip_to(gap.epoch or self._inbox.epoch, gap.to_seq)
