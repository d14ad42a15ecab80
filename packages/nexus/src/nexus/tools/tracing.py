"""Where calls of tools become spans, for whoever has set up OpenTelemetry; for others, nothing.

Names are those of https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/#execute-tool-span.
What a call was given and what it returned stays out of it: both may hold what is secret.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from nexus.domain.tool_calls import Outcome
from nexus.store.tx import Row

_tracer = trace.get_tracer("nexus.tools")
_W3C = TraceContextTextMapPropagator()
_NS_PER_MS = 1_000_000
_NOWHERE = NonRecordingSpan(SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(0)))
"""A parent that is not sampled, and so are the spans below it."""


@contextmanager
def making(call: Row) -> Iterator[Span]:
    """Be in the span of a call that is made here and now; it lies in the trace of who asked."""
    with _tracer.start_as_current_span(
        _name(call), _origin(call), SpanKind.INTERNAL, _attributes(call), record_exception=False
    ) as span:
        yield span


def made(span: Span, outcome: Outcome) -> None:
    """Tell in the span of a call what came of it."""
    if outcome.code is not None:
        _fail(span, outcome.code)


def tell(call: Row) -> None:
    """Tell of a call that has ended without being made here: refused, or done by an agent."""
    span = _tracer.start_span(
        _name(call),
        _origin(call),
        SpanKind.INTERNAL,
        _attributes(call),
        start_time=(call["started_at"] or call["created_at"]) * _NS_PER_MS,
    )
    if call["code"] is not None:
        _fail(span, call["code"])
    span.end(call["finished_at"] * _NS_PER_MS)


@contextmanager
def unseen() -> Iterator[None]:
    """Leave what happens within out of traces: Nexus looks by itself, every few seconds."""
    with trace.use_span(_NOWHERE):
        yield


def _fail(span: Span, code: str) -> None:
    span.set_attribute("error.type", str(code))
    span.set_status(StatusCode.ERROR)


def _name(call: Row) -> str:
    return f"execute_tool {call['tool']}.{call['action']}"


def _origin(call: Row) -> Context:
    return _W3C.extract({"traceparent": call["traceparent"] or ""}, Context())


def _attributes(call: Row) -> dict[str, str]:
    told = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": f"{call['tool']}.{call['action']}",
        "gen_ai.tool.type": "extension",
        "gen_ai.tool.call.id": call["id"],
        "gen_ai.agent.id": call["agent_id"],
        "gen_ai.conversation.id": call["task_id"],
        "oblivion.tool.rule": call["rule"],
        "oblivion.tool.decided_by": call["decided_by"],
    }
    return {name: value for name, value in told.items() if value is not None}
