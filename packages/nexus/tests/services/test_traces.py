"""Where the trace of a task begins: with the request, or with Nexus where that keeps spans."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from nexus.domain.errors import Invalid
from nexus.services import dispatch, tasks
from nexus.telemetry import traces
from service_world import NODE, ServiceWorld

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAID = f"00-{TRACE}-{PARENT}-01"
WISH = tasks.CreateTask(project_id="work", title="A task")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ServiceWorld]:
    world = ServiceWorld(tmp_path / "nexus.db")
    yield world
    world.database.close()


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(traces, "_tracer", provider.get_tracer("tests"))
    yield exporter
    provider.shutdown()


def told(world: ServiceWorld) -> str | None:
    """Return the trace in which an agent is given the task."""
    agent_id = world.agent("worker")
    world.connect(agent_id)
    world.run(dispatch.lease_next, NODE, world.limits.lease_ms)
    (event,) = world.events_of(agent_id)
    trace: str | None = event["traceparent"]
    return trace


def test_a_trace_goes_on_through_a_nexus_that_keeps_no_spans(world: ServiceWorld) -> None:
    world.run(tasks.create, world.admin, WISH, traceparent=SAID)
    assert told(world) == SAID


def test_without_spans_no_trace_begins(world: ServiceWorld) -> None:
    world.run(tasks.create, world.admin, WISH)
    assert told(world) is None


def test_what_follows_from_a_task_lies_below_its_span(
    world: ServiceWorld, spans: InMemorySpanExporter
) -> None:
    made = world.run(tasks.create, world.admin, WISH, traceparent=SAID)
    (span,) = spans.get_finished_spans()
    assert span.name == "create_task"
    assert span.parent is not None
    assert span.parent.span_id == int(PARENT, 16)
    assert dict(span.attributes or {}) == {
        "gen_ai.conversation.id": made.id,
        "oblivion.task.source": "nexus",
    }
    assert told(world) == f"00-{TRACE}-{span.context.span_id:016x}-01"


@pytest.mark.parametrize("said", [None, "nonsense"])
def test_a_trace_begins_in_a_nexus_that_keeps_spans(
    world: ServiceWorld, spans: InMemorySpanExporter, said: str | None
) -> None:
    world.run(tasks.create, world.admin, WISH, traceparent=said)
    (span,) = spans.get_finished_spans()
    assert span.parent is None
    trace = told(world)
    assert trace is not None
    assert trace[:-2] == f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-"


def test_a_trace_that_is_not_sampled_stays_so(
    world: ServiceWorld, spans: InMemorySpanExporter
) -> None:
    world.run(tasks.create, world.admin, WISH, traceparent=f"{SAID[:-2]}00")
    assert spans.get_finished_spans() == ()
    trace = told(world)
    assert trace is not None
    assert (trace.split("-")[1], trace[-2:]) == (TRACE, "00")


def test_a_task_that_is_refused_is_in_no_trace(
    world: ServiceWorld, spans: InMemorySpanExporter
) -> None:
    wish = WISH.model_copy(update={"metadata": {"much": "x" * 300_000}})
    with pytest.raises(Invalid):
        world.run(tasks.create, world.admin, wish)
    assert spans.get_finished_spans() == ()
