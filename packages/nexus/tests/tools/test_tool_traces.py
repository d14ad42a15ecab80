"""Each call of a tool is one span in the trace of who asked; an MCP server is told of it."""

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from eventually import eventually
from live_nexus import AGENT_SECRET, live_nexus
from nexus.tools import tracing
from socket_agent import SocketAgent, socket_agent, token_for

ROGUE = Path(__file__).parents[1] / "support" / "mcp_rogue.py"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TOML = f"""
[tools.rogue]
command = ["{sys.executable}", "{ROGUE}"]

[[tool_rules]]
tools = ["rogue.about", "rogue.wrong"]
name = "look"
"""

ENVELOPE = {"type": "tool_request", "timestamp": "2026-11-30T00:00:00.000Z"}


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("tests"))
    yield exporter
    provider.shutdown()


async def test_a_call_is_a_span_in_the_trace_of_who_asked(
    tmp_path: Path, exporter: InMemorySpanExporter
) -> None:
    (tmp_path / "nexus.toml").write_text(TOML)
    async with live_nexus(tmp_path / "data", config=tmp_path / "nexus.toml") as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("asker")
        token = await token_for(nexus.url, "asker", AGENT_SECRET)
        async with socket_agent(nexus.url, token) as agent:
            await agent.ready()

            async def up() -> bool:
                tools = (await nexus.admin.get("/observer/tools"))["items"]
                return bool(tools[0]["actions"])

            await eventually(up, what="the tool is up")
            told = await ask(agent, "about", f"00-{TRACE}-{PARENT}-01")
            await ask(agent, "wrong", "00-no-trace-at-all")
            await ask(agent, "fine", None)
    about, wrong, refused = by_action(exporter.get_finished_spans())
    assert about.name == "execute_tool rogue.about"
    assert about.context.trace_id == int(TRACE, 16)
    assert about.parent is not None
    assert about.parent.span_id == int(PARENT, 16)
    attributes = dict(about.attributes or {})
    assert attributes.pop("gen_ai.tool.call.id")
    assert attributes.pop("gen_ai.agent.id")
    assert attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "rogue.about",
        "gen_ai.tool.type": "extension",
        "oblivion.tool.rule": "look",
    }
    # The server was told whose trace it works in: the span of the call itself.
    assert json.loads(told["result"])["traceparent"].split("-")[1] == TRACE
    assert about.status.status_code is StatusCode.UNSET
    assert wrong.parent is None, "what is no trace is passed over"
    assert (wrong.attributes or {})["error.type"] == "result_refused"
    assert wrong.status.status_code is StatusCode.ERROR
    assert (refused.attributes or {})["error.type"] == "not_allowed"
    assert "sesame" not in "".join(span.to_json() for span in exporter.get_finished_spans())


def test_what_nobody_asked_for_is_in_no_trace(exporter: InMemorySpanExporter) -> None:
    with tracing.unseen(), tracing._tracer.start_as_current_span("a look"):
        pass
    assert exporter.get_finished_spans() == ()
    tracing._tracer.start_span("another").end()
    assert len(exporter.get_finished_spans()) == 1


def by_action(spans: Sequence[ReadableSpan]) -> list[ReadableSpan]:
    found = {span.name.rpartition(".")[2]: span for span in spans}
    assert len(found) == len(spans) == 3, "one span a call"
    return [found[action] for action in ("about", "wrong", "fine")]


async def ask(agent: SocketAgent, action: str, traceparent: str | None) -> Any:
    before = len(agent.named("tool_result"))
    wish = {"requestId": action, "tool": "rogue", "action": action, "params": {}}
    await agent.raw_call("tool_request", {**ENVELOPE, "payload": wish, "traceparent": traceparent})
    return await agent.until("tool_result", count=before + 1)


async def test_an_agent_that_offers_a_tool_works_in_the_trace_of_who_asked(tmp_path: Path) -> None:
    async with live_nexus(tmp_path / "data") as nexus, contextlib.AsyncExitStack() as stack:
        await nexus.admin.team()
        agents = []
        for name in ("asker", "cook"):
            await nexus.admin.agent(name)
            token = await token_for(nexus.url, name, AGENT_SECRET)
            agents.append(await stack.enter_async_context(socket_agent(nexus.url, token)))
        asker, cook = agents
        await nexus.admin.post("/observer/tools/rules", tools=["rogue.*"])
        await asker.ready()
        await cook.ready(tools=[{"tool": "rogue", "action": "about", "inputSchema": {}}])
        wish = {"requestId": "one", "tool": "rogue", "action": "about", "params": {}}
        said = f"00-{TRACE}-{PARENT}-01"
        await asker.raw_call("tool_request", {**ENVELOPE, "payload": wish, "traceparent": said})
        call = await cook.until("tool_call")
        await cook.call("tool_answer", {"callId": call["callId"], "success": True, "result": 1})
        assert (await asker.until("tool_result"))["success"]
        assert cook.named("tool_call")[0]["traceparent"] == said
        assert asker.named("tool_result")[0]["traceparent"] == said
