"""Where each call of an agent becomes a change of the fake Nexus, and its answer."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import ValidationError

from oblivion._clock import Clock
from oblivion.protocol import (
    HELD_STATUSES,
    PROTOCOL_VERSION,
    Acknowledged,
    AgentReady,
    AgentReadyAck,
    AgentStatus,
    ClaimTask,
    Envelope,
    ErrorCode,
    EventAck,
    EventType,
    HeartbeatCall,
    PostMessage,
    PostMessageAck,
    StatusUpdate,
    TaskUpdate,
    Think,
    ToolAccepted,
    ToolRequest,
    WireModel,
    format_timestamp,
    trace_of,
    wrap,
)
from oblivion.testing._agents import Agent, Agents, Session
from oblivion.testing._refusal import Refusal
from oblivion.testing._tasks import Tasks
from oblivion.testing._threads import Author, Threads
from oblivion.testing._tools import Tools

_Model = TypeVar("_Model", bound=WireModel)

KEPT = frozenset(
    {
        EventType.CLAIM_TASK,
        EventType.TASK_UPDATE,
        EventType.POST_MESSAGE,
        EventType.THINK,
        EventType.TOOL_REQUEST,
    }
)
"""The calls whose answers are kept: sent again, they have no second effect."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who calls, on which connection, in which trace."""

    agent: Agent
    session: Session
    traceparent: str | None = None


class Calls:
    """Carries out calls."""

    def __init__(
        self, clock: Clock, agents: Agents, tasks: Tasks, threads: Threads, tools: Tools
    ) -> None:
        self._clock = clock
        self._agents = agents
        self._tasks = tasks
        self._threads = threads
        self._tools = tools
        self._acts: dict[str, Callable[[Caller, dict[str, Any]], Awaitable[Any]]] = {
            EventType.AGENT_READY: self._agent_ready,
            EventType.HEARTBEAT: self._heartbeat,
            EventType.STATUS_UPDATE: self._status_update,
            EventType.CLAIM_TASK: self._claim_task,
            EventType.TASK_UPDATE: self._task_update,
            EventType.POST_MESSAGE: self._post_message,
            EventType.THINK: self._think,
            EventType.TOOL_REQUEST: self._tool_request,
            EventType.EVENT_ACK: self._event_ack,
        }

    async def carry_out(self, caller: Caller, type_: str, data: Any) -> Any:
        """Carry out a call once, however often it is sent; a refusal is an answer, too."""
        try:
            return await self._once(caller, type_, data)
        except Refusal as refusal:
            return {"error": refusal.to_wire()}

    async def _once(self, caller: Caller, type_: str, data: Any) -> Any:
        act = self._acts.get(type_)
        if act is None:
            raise Refusal(ErrorCode.UNKNOWN_EVENT, f"there is no call {type_!r}")
        envelope = _read(Envelope, data)
        answers = caller.agent.answers
        if envelope.id in answers:
            return answers[envelope.id]
        called = replace(caller, traceparent=trace_of(envelope.traceparent))
        answer = await act(called, envelope.payload)
        if envelope.id is not None and type_ in KEPT:
            answers[envelope.id] = answer
        return answer

    async def _agent_ready(self, caller: Caller, payload: dict[str, Any]) -> Any:
        ready = _read(AgentReady, payload)
        if ready.protocol != PROTOCOL_VERSION:
            message = f"this Nexus speaks protocol {PROTOCOL_VERSION}, not {ready.protocol}"
            raise Refusal(ErrorCode.PROTOCOL_UNSUPPORTED, message)
        agent = caller.agent
        if agent.session is not caller.session:
            raise Refusal(ErrorCode.NOT_READY, "this session has ended; connect again")
        if agent.instance_id is not None and ready.instance_id not in {None, agent.instance_id}:
            self._end_orphans(agent, ready)
        self._agents.begin(agent, caller.session, ready)
        self._tasks.renew(agent, ready.active)
        ack = AgentReadyAck(
            epoch=self._agents.epoch,
            head_seq=agent.head,
            resumed=ready.epoch == self._agents.epoch,
            lost=self._tasks.lost(agent, ready.active),
        )
        # After the acknowledgement, which is on its way when this turn of the loop ends.
        asyncio.get_running_loop().call_soon(self._go_on, agent)
        return ack.to_wire()

    def _go_on(self, agent: Agent) -> None:
        self._agents.pump(agent)
        self._tasks.look()

    def _end_orphans(self, agent: Agent, ready: AgentReady) -> None:
        active = {(named.task_id, named.attempt) for named in ready.active}
        unheard = {
            (event.payload.to_wire()["taskId"], event.payload.to_wire()["attempt"])
            for event in agent.pending()
            if event.type is EventType.TASK_ASSIGNED
        }
        for task in self._tasks.held_by(agent):
            if (task.id, task.attempt) not in active | unheard:
                self._tasks.orphan(task)

    async def _heartbeat(self, caller: Caller, payload: dict[str, Any]) -> Any:
        beat = _read(HeartbeatCall, payload)
        self._agents.require_ready(caller.agent, caller.session)
        if beat.active is not None:
            self._tasks.renew(caller.agent, beat.active)
        else:
            self._tasks.renew_since(caller.agent, caller.session)
        now = self._clock.now()
        return wrap(EventType.HEARTBEAT, {"pong": True, "serverTime": format_timestamp(now)}, now)

    async def _status_update(self, caller: Caller, payload: dict[str, Any]) -> Any:
        wish = _read(StatusUpdate, payload)
        self._agents.require_ready(caller.agent, caller.session)
        if wish.status is AgentStatus.WORKING and wish.task_id is not None:
            self._tasks.start(caller.agent, wish.task_id)
        return Acknowledged().to_wire()

    async def _claim_task(self, caller: Caller, payload: dict[str, Any]) -> Any:
        wish = _read(ClaimTask, payload)
        ready = self._agents.require_ready(caller.agent, caller.session)
        return self._tasks.claim(caller.agent, wish.task_id, ready.max_concurrency).to_wire()

    async def _task_update(self, caller: Caller, payload: dict[str, Any]) -> Any:
        wish = _read(TaskUpdate, payload)
        self._agents.require_ready(caller.agent, caller.session)
        answer = self._tasks.update(caller.agent, wish)
        if wish.status in HELD_STATUSES and wish.progress is not None:
            self._threads.show_progress(self._tasks.find(wish.task_id), caller.agent, wish)
        return answer.to_wire()

    async def _post_message(self, caller: Caller, payload: dict[str, Any]) -> Any:
        wish = _read(PostMessage, payload)
        self._agents.require_ready(caller.agent, caller.session)
        named = f"message: {wish.client_message_id} {wish.task_id} {wish.text}"
        answers = caller.agent.answers
        if wish.client_message_id is not None and named in answers:
            return answers[named]
        author = Author(id=caller.agent.id, name=caller.agent.name, is_human=False)
        task = self._tasks.find(wish.task_id)
        ts = self._threads.post(task, author, wish.text, wish.kind, wish.choices or ())
        answers[named] = PostMessageAck(message_ts=ts).to_wire()
        return answers[named]

    async def _think(self, caller: Caller, payload: dict[str, Any]) -> Any:
        wish = _read(Think, payload)
        self._agents.require_ready(caller.agent, caller.session)
        self._tasks.find(wish.task_id).thoughts += wish.thoughts
        self._tasks.look()
        return Acknowledged().to_wire()

    async def _tool_request(self, caller: Caller, payload: dict[str, Any]) -> Any:
        wish = _read(ToolRequest, payload)
        ready = self._agents.require_ready(caller.agent, caller.session)
        task = None if wish.task_id is None else self._tasks.find(wish.task_id)
        result = await self._tools.run(wish)
        if not ready.acks:
            return wrap(EventType.TOOL_RESULT, result, self._clock.now())
        trace = caller.traceparent or (None if task is None else task.traceparent)
        self._agents.tell(caller.agent, EventType.TOOL_RESULT, result, trace)
        return ToolAccepted(call_id=str(uuid.uuid4())).to_wire()

    async def _event_ack(self, caller: Caller, payload: dict[str, Any]) -> Any:
        self._agents.acknowledge(caller.agent, _read(EventAck, payload).seqs)
        return Acknowledged().to_wire()


def _read(model: type[_Model], data: Any) -> _Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)[:5]
        details = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'payload'}: {problem['msg']}"
            for problem in problems
        )
        message = f"the payload is not valid: {details}"
        raise Refusal(ErrorCode.INVALID_PAYLOAD, message) from None
