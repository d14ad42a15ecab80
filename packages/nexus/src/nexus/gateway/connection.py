"""Where one agent's connection lives: calls come in, answers go back."""

import logging
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from nexus import failpoints
from nexus.delivery import LiveSession
from nexus.domain.errors import Invalid, NexusError
from nexus.domain.json_values import MAX_DEPTH, is_too_deep, may_hold_nul, refuse_nul
from nexus.gateway.calls import CALLS, FIRST, OWED, Answer, Call, Context, carry_out, pong
from nexus.gateway.idle_beats import is_idle_beat
from nexus.gateway.receipts import Receipts
from nexus.gateway.tool_results import ToolResults
from nexus.services.platform import Platform
from oblivion.protocol import (
    PROTOCOL_VERSION,
    Acknowledged,
    AgentReady,
    CallError,
    Envelope,
    ErrorCode,
    EventAck,
    EventType,
    GapPayload,
    ToolRequest,
    WireModel,
)

_log = logging.getLogger("nexus.gateway")
_SAID_BACK = 80
"""So much of what a stranger sends is repeated to it."""


class Connection:
    """Translates between one socket and one live session."""

    def __init__(self, platform: Platform, session: LiveSession, receipts: Receipts) -> None:
        self.session = session
        self._platform = platform
        self._receipts = receipts
        self._waiting = ToolResults(platform)

    def at_once(self, type_: str, data: Any) -> Answer | None:
        """Answer what needs neither the store nor patience; None for all that does."""
        if not (self.session.is_ready and is_idle_beat(type_, data)):
            return None
        self.session.heard()
        self.session.still_there()
        return pong(self._platform.clock())

    async def call(self, type_: str, data: Any, text: bytes) -> Answer:
        """Carry out one call and return its acknowledgement; a refusal is an answer too."""
        self.session.heard()
        try:
            return await self._call(type_, data, text)
        except NexusError as refusal:
            return _refused(refusal.code, refusal.message, retryable=refusal.retryable)
        except Exception:  # noqa: BLE001 - every call gets an answer, the log the rest
            _log.exception("call_failed type=%s agent_id=%s", type_, self.session.ref.agent_id)
            return _refused(ErrorCode.INTERNAL, "Nexus failed; this is its fault", retryable=True)

    async def _call(self, type_: str, data: Any, text: bytes) -> Answer:
        call = CALLS.get(type_)  # type: ignore[call-overload]  # a StrEnum key equals its value
        if call is None:
            return _refused(ErrorCode.UNKNOWN_EVENT, f"there is no call {type_[:_SAID_BACK]!r}")
        if is_too_deep(data, text):
            raise Invalid(f"the payload is nested deeper than {MAX_DEPTH} levels")
        if may_hold_nul(text):
            refuse_nul(data)
        envelope = _parse(Envelope, data)
        payload = _parse(call.payload, envelope.payload)
        return await self._carry_out(call, envelope, payload)

    async def _carry_out(self, call: Call, envelope: Envelope, payload: WireModel) -> Answer:
        if isinstance(payload, AgentReady) and payload.protocol != PROTOCOL_VERSION:
            return _refused(
                ErrorCode.PROTOCOL_UNSUPPORTED,
                f"this Nexus speaks protocol {PROTOCOL_VERSION}, not {payload.protocol}",
            )
        context = Context(
            ref=self.session.ref,
            call_id=envelope.id,
            limits=self._platform.limits,
            acks=self.session.acks,
            traceparent=envelope.traceparent,
        )
        if isinstance(payload, EventAck):
            sent = self.session.sent_at(payload.seqs)
            return await self._acknowledge(replace(context, sent=sent), payload)
        answer = await self._platform.store.write(carry_out, call, context, payload)
        if isinstance(payload, AgentReady):
            await self._begin(payload, answer)
        if isinstance(payload, ToolRequest) and not context.acks:
            return await self._waiting.for_result(answer["callId"])
        return answer

    async def _acknowledge(self, context: Context, ack: EventAck) -> Answer:
        failpoints.reach("ack.before")
        await self._receipts.write(context, ack)
        failpoints.reach("ack.after")
        self.session.acknowledged(ack.seqs)
        return Acknowledged().to_wire()

    async def _begin(self, ready: AgentReady, answer: Answer) -> None:
        gap: GapPayload | None = answer.pop(OWED)
        first: int | None = answer.pop(FIRST)
        if gap is not None:
            await self.session.hint(EventType.GAP, gap)
        self.session.begin(acks=ready.acks, head=answer["headSeq"], first=first)


def _parse(model: type[WireModel], data: Any) -> Any:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        details = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'payload'}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)[:5]
        )
        raise Invalid(f"the payload is not valid: {details}") from error


def _refused(code: str, message: str, *, retryable: bool = False) -> Answer:
    return {"error": CallError(code=code, message=message, retryable=retryable).to_wire()}
