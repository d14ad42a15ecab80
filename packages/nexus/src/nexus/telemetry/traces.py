"""Where the trace of a task begins, for whoever has set up OpenTelemetry; else it is passed on."""

from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_tracer = trace.get_tracer("nexus.tasks")
_W3C = TraceContextTextMapPropagator()
_NOWHERE = Context()


def begin(said: str | None, attributes: Mapping[str, str]) -> str | None:
    """Tell that a task was made, and return the ``traceparent`` of all that follows from it.

    ``said`` is the one that whoever asked for the task sent; what is none is passed over. Without
    OpenTelemetry's SDK it is what is returned.
    """
    origin = _NOWHERE if said is None else _W3C.extract({"traceparent": said}, _NOWHERE)
    span = _tracer.start_span("create_task", origin, SpanKind.PRODUCER, attributes)
    span.end()
    if not span.get_span_context().is_valid:
        return None
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, trace.set_span_in_context(span, _NOWHERE))
    return carrier.get("traceparent")
