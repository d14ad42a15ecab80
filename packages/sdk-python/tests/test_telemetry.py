"""What an application with OpenTelemetry learns of an agent, and that no other pays for it."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import oblivion
from oblivion import ContextUpdatePayload, TaskAssignedPayload, _telemetry
from scripted_nexus import MakeClient, ScriptedNexus, task

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


class Told:
    """What the agent told."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.tracers, self.meters = tracers, MeterProvider(metric_readers=[self._reader])

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._spans.get_finished_spans() if span.name == name]

    def span(self, name: str) -> ReadableSpan:
        found = [span.name for span in self._spans.get_finished_spans()]
        assert name in found, found
        return self.spans(name)[-1]

    def points(self, name: str) -> list[Any]:
        data: Any = self._reader.get_metrics_data()
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """Providers for this test alone: the real ones can be set once in a process."""
    told = Told()
    monkeypatch.setattr(trace, "get_tracer", told.tracers.get_tracer)
    monkeypatch.setattr(metrics, "get_meter", told.meters.get_meter)
    _telemetry._api.cache_clear()
    yield told
    _telemetry._api.cache_clear()


def of(span: ReadableSpan) -> Mapping[str, Any]:
    return span.attributes or {}


def trace_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return format(span.context.trace_id, "032x")


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


async def assign(nexus: ScriptedNexus, task_id: str, traceparent: str | None = None) -> None:
    envelope: dict[str, Any] = {
        "type": "task_assigned",
        "payload": task(task_id),
        "id": f"event-{task_id}",
        "seq": len(nexus.of("event_ack")) + 1,
    }
    if traceparent is not None:
        envelope["traceparent"] = traceparent
    await nexus.send_raw("task_assigned", envelope)


async def test_a_task_is_an_invocation_of_the_agent_within_the_trace_of_nexus(
    nexus: ScriptedNexus, make_client: MakeClient, told: Told
) -> None:
    client = make_client()

    @client.on_task_assigned
    async def work(payload: TaskAssignedPayload) -> str:
        await client.update_status("working", payload.task_id)
        return "done"

    await client.connect()
    await assign(nexus, "t", TRACEPARENT)
    await nexus.next("task_update")
    await client.disconnect()
    span = told.span("invoke_agent my-agent")
    assert trace_of(span) == TRACE
    assert span.parent is not None
    assert format(span.parent.span_id, "016x") == "b7ad6b7169203331"
    assert of(span)["gen_ai.operation.name"] == "invoke_agent"
    assert of(span)["gen_ai.agent.name"] == "my-agent"
    assert of(span)["gen_ai.conversation.id"] == "t"
    assert span.status.is_ok or span.status.is_unset
    said = nexus.of("status_update")[0].envelope["traceparent"]
    assert said.split("-")[1] == TRACE, "what the handler says goes on in the same trace"
    assert span.context is not None
    assert said.split("-")[2] == format(span.context.span_id, "016x")


async def test_tasks_without_a_trace_begin_one_each(
    nexus: ScriptedNexus, make_client: MakeClient, told: Told
) -> None:
    client = make_client()

    @client.on_task_assigned
    async def work(_payload: TaskAssignedPayload) -> None:
        pass

    with trace.get_tracer("test").start_as_current_span("the program"):
        await client.connect()
    for task_id in ("one", "two", "three"):
        await assign(nexus, task_id, TRACEPARENT if task_id == "two" else None)
        await nexus.next("task_update")
    await client.disconnect()
    spans = {
        of(span)["gen_ai.conversation.id"]: span for span in told.spans("invoke_agent my-agent")
    }
    assert parent_of(spans["one"]) is None
    assert parent_of(spans["three"]) is None
    assert len({trace_of(span) for span in spans.values()}) == 3


async def test_a_task_that_waited_for_a_slot_keeps_its_own_trace(
    nexus: ScriptedNexus, make_client: MakeClient, told: Told
) -> None:
    client = make_client(max_concurrency=1)

    @client.on_task_assigned
    def work(_payload: TaskAssignedPayload) -> None:
        """A plain function, on a thread."""

    await client.connect()
    other = TRACEPARENT.replace("0af7", "1111")
    await nexus.send_raw(
        "task_assigned",
        {"type": "task_assigned", "payload": task("a"), "id": "1", "seq": 1, "traceparent": other},
    )
    await nexus.send_raw(
        "task_assigned",
        {
            "type": "task_assigned",
            "payload": task("b"),
            "id": "2",
            "seq": 2,
            "traceparent": TRACEPARENT,
        },
    )
    await nexus.next("task_update")
    await nexus.next("task_update")
    await client.disconnect()
    traces = {
        of(span)["gen_ai.conversation.id"]: trace_of(span)
        for span in told.spans("invoke_agent my-agent")
    }
    assert traces == {"a": TRACE.replace("0af7", "1111"), "b": TRACE}


async def test_a_tool_call_is_a_span_below_the_handlers(
    nexus: ScriptedNexus, make_client: MakeClient, told: Told
) -> None:
    client = make_client()
    nexus.answers["tool_request"] = lambda call: {
        "type": "tool_result",
        "payload": {
            "requestId": call.payload["requestId"],
            "success": False,
            "error": "no",
            "code": "denied",
        },
    }

    @client.on_task_assigned
    async def work(payload: TaskAssignedPayload) -> None:
        await client.request_tool("github", "create_pr", task_id=payload.task_id)

    await client.connect()
    await assign(nexus, "t")
    await nexus.next("task_update")
    await client.disconnect()
    tool, invocation = (
        told.span("execute_tool github.create_pr"),
        told.span("invoke_agent my-agent"),
    )
    assert invocation.context is not None
    assert parent_of(tool) == invocation.context.span_id
    assert of(tool)["gen_ai.operation.name"] == "execute_tool"
    assert of(tool)["error.type"] == "denied"
    asked = nexus.of("tool_request")[0]
    assert of(tool)["gen_ai.tool.call.id"] == asked.payload["requestId"]
    assert tool.context is not None
    assert asked.envelope["traceparent"].split("-")[2] == format(tool.context.span_id, "016x")


async def test_a_handler_that_fails_is_a_span_that_failed(
    nexus: ScriptedNexus, make_client: MakeClient, told: Told
) -> None:
    client = make_client()

    @client.on_context_update
    async def hear(_payload: ContextUpdatePayload) -> None:
        raise ZeroDivisionError("no")

    await client.connect()
    sent = await nexus.send("context_update", {"taskId": "t", "content": "hello"})
    await nexus.acknowledged(sent["seq"])
    await client.disconnect()
    span = told.span("handle context_update")
    assert (span.status.is_ok, of(span)["error.type"]) == (False, "ZeroDivisionError")
    assert [event.name for event in span.events] == ["exception"]
    (point,) = told.points("oblivion.handler.duration")
    assert point.attributes["oblivion.event"] == "context_update"
    assert point.attributes["error.type"] == "ZeroDivisionError"
    assert point.count == 1


async def test_each_try_to_connect_is_a_span_and_is_counted(
    nexus: ScriptedNexus, make_client: MakeClient, told: Told
) -> None:
    nexus.refusals.append({"code": "agent_pending", "message": "wait", "retryable": False})
    client = make_client()
    with pytest.raises(oblivion.AgentPending):
        await client.connect()
    await client.connect()
    await client.disconnect()
    failed, done = told.spans("connect nexus")
    assert of(failed)["error.type"] == "AgentPending"
    assert "error.type" not in of(done)
    assert (of(done)["server.address"], of(done)["server.port"]) == ("127.0.0.1", nexus.port)
    counts = {p.attributes.get("error.type"): p.value for p in told.points("oblivion.connects")}
    assert counts == {"AgentPending": 1, None: 1}


async def test_without_opentelemetry_nothing_is_told_and_everything_works(
    nexus: ScriptedNexus, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_telemetry, "_api", lambda: None)
    client = make_client()

    @client.on_task_assigned
    async def work(_payload: TaskAssignedPayload) -> str:
        result = await client.request_tool("a", "b", timeout=0.1)
        return result.code or ""

    await client.connect()
    await assign(nexus, "t", TRACEPARENT)
    assert (await nexus.next("task_update")).payload["result"] == "timed_out"
    assert "traceparent" not in nexus.of("tool_request")[0].envelope


def test_importing_the_sdk_loads_nothing_of_opentelemetry() -> None:
    code = "import sys, oblivion; print([m for m in sys.modules if 'opentelemetry' in m])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_an_environment_without_it_is_noticed_once() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None; from oblivion import _telemetry as t;"
        "print(t._api(), t.outgoing())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "None None"
