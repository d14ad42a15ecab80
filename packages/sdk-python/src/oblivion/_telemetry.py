"""Where traces and metrics go to OpenTelemetry, in an application that has it; else nowhere.

Of OpenTelemetry the API alone is used: what becomes of spans and numbers, the application says.
Names are those of the semantic conventions for generative AI, as far as these have some.
"""

import asyncio
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Counter, Histogram
    from opentelemetry.trace import Span, SpanKind, Tracer

_NAME = "oblivion"
_TASK_ASSIGNED, _TOOL_CALL = "task_assigned", "tool_call"


class Handled(Protocol):
    """What a handler is called for."""

    @property
    def event(self) -> str:
        """The event's type."""
        ...

    @property
    def task_id(self) -> str | None:
        """The task that it is about."""
        ...

    @property
    def tool(self) -> str | None:
        """The tool that is to be run."""
        ...

    @property
    def traceparent(self) -> str | None:
        """The trace that it came in."""
        ...


class Mark(Protocol):
    """What can be told of the work within a span."""

    def failed(self, kind: str) -> None:
        """Say that it failed, and how in one word."""


@dataclass(frozen=True)
class _Api:
    """OpenTelemetry as this application has it."""

    tracer: "Tracer"
    handlers: "Histogram"
    connects: "Counter"


_arrival: ContextVar[str | None] = ContextVar("oblivion_traceparent", default=None)


@contextmanager
def arriving(traceparent: str | None) -> Generator[None]:
    """Have what begins within the body belong to the trace of an event."""
    token = _arrival.set(traceparent)
    try:
        yield
    finally:
        _arrival.reset(token)


def arrived_with() -> str | None:
    """Return the trace of the event that is being taken in."""
    return _arrival.get()


def outgoing() -> str | None:
    """Return what tells Nexus the current span; None where there is none."""
    if _api() is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - optional
        TraceContextTextMapPropagator,
    )

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def handling(agent: str, what: Handled) -> AbstractContextManager[object]:
    """Return the span of a handler's call."""
    api = _api()
    return nullcontext() if api is None else _handling(api, agent, what)


def connecting(agent: str, url: str) -> AbstractContextManager[object]:
    """Return the span of one try to connect."""
    api = _api()
    return nullcontext() if api is None else _connecting(api, agent, url)


def requesting(tool: str, call_id: str) -> AbstractContextManager[Mark]:
    """Return the span of a tool's call from its request to its result."""
    api = _api()
    return nullcontext(_Unmarked()) if api is None else _requesting(api, tool, call_id)


@contextmanager
def _handling(api: _Api, agent: str, what: Handled) -> Generator[None]:
    name, attributes = _described(agent, what)
    outcome, began = "ok", time.perf_counter()
    try:
        with _span(api, name, _kind(what), attributes, _from(what.traceparent)):
            yield
    except BaseException as error:
        outcome = type(error).__name__
        raise
    finally:
        labels = {"oblivion.event": what.event, "gen_ai.agent.name": agent}
        if outcome != "ok":
            labels["error.type"] = outcome
        api.handlers.record(time.perf_counter() - began, labels)


@contextmanager
def _connecting(api: _Api, agent: str, url: str) -> Generator[None]:
    from opentelemetry.trace import SpanKind  # noqa: PLC0415 - optional

    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    where: dict[str, str | int] = {"server.address": parts.hostname or "", "server.port": port}
    labels = {"gen_ai.agent.name": agent}
    try:
        with _span(api, "connect nexus", SpanKind.CLIENT, {**labels, **where}, None):
            yield
    except BaseException as error:
        labels["error.type"] = type(error).__name__
        raise
    finally:
        api.connects.add(1, labels)


@contextmanager
def _requesting(api: _Api, tool: str, call_id: str) -> Generator["Mark"]:
    from opentelemetry.trace import SpanKind  # noqa: PLC0415 - optional

    attributes = {**_tool(tool), "gen_ai.tool.call.id": call_id}
    with _span(api, f"execute_tool {tool}", SpanKind.CLIENT, attributes, None) as span:
        yield _Marked(span)


@contextmanager
def _span(
    api: _Api,
    name: str,
    kind: "SpanKind",
    attributes: dict[str, str | int],
    context: "Context | None",
) -> Generator["Span"]:
    """Open a span that knows a cancellation from a failure."""
    with api.tracer.start_as_current_span(
        name,
        context=context,
        kind=kind,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except asyncio.CancelledError:
            span.set_attribute("oblivion.cancelled", True)
            raise
        except Exception as error:
            span.record_exception(error)
            _Marked(span).failed(type(error).__name__)
            raise


class _Unmarked:
    def failed(self, kind: str) -> None:
        pass


@dataclass(frozen=True)
class _Marked:
    span: "Span"

    def failed(self, kind: str) -> None:
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - optional

        self.span.set_attribute("error.type", kind)
        self.span.set_status(StatusCode.ERROR)


def _described(agent: str, what: Handled) -> tuple[str, dict[str, str | int]]:
    """Return the name and the attributes of a handler's span."""
    attributes: dict[str, str | int] = {"gen_ai.agent.name": agent, "oblivion.event": what.event}
    if what.task_id is not None:
        attributes["gen_ai.conversation.id"] = what.task_id
    if what.event == _TASK_ASSIGNED:
        return f"invoke_agent {agent}", {**attributes, "gen_ai.operation.name": "invoke_agent"}
    if what.event == _TOOL_CALL and what.tool is not None:
        return f"execute_tool {what.tool}", {**attributes, **_tool(what.tool)}
    return f"handle {what.event}", attributes


def _tool(name: str) -> dict[str, str | int]:
    return {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}


def _kind(what: Handled) -> "SpanKind":
    from opentelemetry.trace import SpanKind  # noqa: PLC0415 - optional

    inside = what.event in {_TASK_ASSIGNED, _TOOL_CALL}
    return SpanKind.INTERNAL if inside else SpanKind.CONSUMER


def _from(traceparent: str | None) -> "Context":
    """Return the context that a trace goes on in; an empty one where a trace begins."""
    from opentelemetry.context import Context  # noqa: PLC0415 - optional
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - optional
        TraceContextTextMapPropagator,
    )

    if traceparent is None:
        return Context()
    return TraceContextTextMapPropagator().extract({"traceparent": traceparent}, Context())


@cache
def _api() -> _Api | None:
    try:
        from opentelemetry import metrics, trace  # noqa: PLC0415 - optional
    except ImportError:
        return None
    meter = metrics.get_meter(_NAME)
    return _Api(
        tracer=trace.get_tracer(_NAME),
        handlers=meter.create_histogram(
            "oblivion.handler.duration", "s", "How long handlers take, by event."
        ),
        connects=meter.create_counter("oblivion.connects", "{connect}", "Tries to connect."),
    )
