"""Where it is tested that LangGraph's graphs use Nexus's tools, and wait for people."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import ToolException
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt
from pydantic import Field

from file_saver import FileSaver
from oblivion import OblivionClient, TaskAssignedPayload, ToolInfo, UsageError
from oblivion.integrations.langgraph import (
    ask_human,
    ask_human_tool,
    langchain_tools,
    run_graph,
)
from oblivion.testing import FakeNexus
from oblivion_pytest import fixtures

clock, nexus = fixtures.clock, fixtures.nexus


@pytest.fixture
def client() -> OblivionClient:
    return OblivionClient("http://localhost:9", "my-agent", "of-production")


@pytest.fixture
async def connected(nexus: FakeNexus, client: OblivionClient) -> AsyncIterator[OblivionClient]:
    async with nexus.agent(client):
        yield client


def call(name: str, **args: Any) -> Any:
    """Return a call as a model makes it."""
    return {"type": "tool_call", "id": "call-1", "name": name, "args": args}


# --- tools


def test_tools_get_names_that_models_take_and_keep_their_schemas(client: OblivionClient) -> None:
    schema = {
        "type": "object",
        "properties": {"at": {"type": "string", "format": "date-time"}},
        "required": ["at"],
    }
    known = [
        ToolInfo(tool="time", action="get_now", description="Tell it", input_schema=schema),
        ToolInfo(tool="files", action="dir/read.text", requires_approval=True),
        ToolInfo(tool="files", action="dir.read/text"),
        ToolInfo(tool="t" * 60, action="a" * 100),
    ]
    tools = langchain_tools(client, known)
    names = [tool.name for tool in tools]
    assert names[:2] == ["time_get_now", "files_dir_read_text"]
    assert len(set(names)) == 4
    assert all(len(name) <= 64 and name.replace("_", "a").isalnum() for name in names)
    told = [convert_to_openai_tool(tool)["function"] for tool in tools]
    assert told[0] == {"name": "time_get_now", "description": "Tell it", "parameters": schema}
    assert told[1]["parameters"] == {"type": "object", "properties": {}}
    assert "A person looks at each call first" in told[1]["description"]


async def test_a_tool_is_used_through_nexus_and_its_result_is_whole(
    nexus: FakeNexus, connected: OblivionClient
) -> None:
    nexus.tool("shop", price=lambda params: {"cents": 250, "of": params["self"]})
    (tool,) = langchain_tools(connected, await connected.list_tools(), timeout=5)
    # Names that mean something to Python or to LangChain are names as others here.
    said = await tool.ainvoke(call("shop_price", self="tea", config="c", run_manager=1))
    assert said.content == '{"cents": 250, "of": "tea"}'
    assert said.artifact.data == {"cents": 250, "of": "tea"}
    (request,) = nexus.tool_requests
    assert request.params == {"self": "tea", "config": "c", "run_manager": 1}
    assert request.timeout_ms == 5000


async def test_what_fails_is_a_message_that_the_model_can_read(
    nexus: FakeNexus, connected: OblivionClient
) -> None:
    def refuse(_: Any) -> Any:
        raise ValueError("no such tea")

    nexus.tool("shop", price=refuse)
    (tool,) = langchain_tools(connected, await connected.list_tools())
    said = await tool.ainvoke(call("shop_price"))
    assert (said.status, said.content) == ("error", "tool_failed: no such tea")
    odd = await tool.ainvoke(call("shop_price", of=object()))
    assert (odd.status, odd.content[:15]) == ("error", "invalid_params:")
    tool.handle_tool_error = False
    with pytest.raises(ToolException, match="no such tea"):
        await tool.ainvoke(call("shop_price"))
    with pytest.raises(NotImplementedError, match="ainvoke"):
        tool.invoke({})


# --- questions


class Release(TypedDict, total=False):
    name: str
    effects: list[str]
    answers: list[str]


def release_graph(checkpointer: Any, effects: list[str]) -> Any:
    """A graph that does something, asks twice the same, and does something else."""

    def prepare(state: Release) -> Release:
        effects.append("prepared")
        return {"answers": []}

    def ask(state: Release) -> Release:
        answer = ask_human(f"Release {state['name']}?", choices=["yes", "no"])
        return {"answers": [*state["answers"], f"{answer.author}: {answer.content}"]}

    def release(state: Release) -> Release:
        effects.append("released")
        return {}

    graph = StateGraph(Release)
    graph.add_node("prepare", prepare)
    graph.add_node("first", ask)
    graph.add_node("second", ask)
    graph.add_node("release", release)
    graph.add_edge(START, "prepare")
    graph.add_edge("prepare", "first")
    graph.add_edge("first", "second")
    graph.add_edge("second", "release")
    graph.add_edge("release", END)
    return graph.compile(checkpointer=checkpointer)


def employ(client: OblivionClient, graph: Any, **options: Any) -> None:
    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> Any:
        await client.update_status("working", task.task_id)
        state = await run_graph(client, graph, task, {"name": task.title}, **options)
        return {"answers": state["answers"]}


async def test_a_question_interrupts_the_graph_until_a_person_has_answered(
    nexus: FakeNexus, client: OblivionClient
) -> None:
    effects: list[str] = []
    steps: list[str] = []

    async def note(node: str, _: Any) -> None:
        steps.append(node)

    employ(client, release_graph(InMemorySaver(), effects), on_step=note)
    async with nexus.agent(client):
        task = await nexus.assign("2.1")
        for answer in ("no", "yes"):
            question = await nexus.expect_message(task, "Release 2.1?", kind="question")
            assert question.choices == ["yes", "no"]
            await nexus.expect_status(task, "BLOCKED_ON_HUMAN")
            assert "released" not in effects
            await nexus.say(task, answer, author="Ada")
        done = await nexus.expect_status(task, "DONE")
    assert done.result == {"answers": ["Ada: no", "Ada: yes"]}
    assert effects == ["prepared", "released"]
    assert steps == ["prepare", "first", "second", "release"]


@pytest.mark.parametrize("answered_meanwhile", [True, False])
async def test_another_process_goes_on_where_the_last_one_was_lost(
    nexus: FakeNexus, tmp_path: Path, answered_meanwhile: bool
) -> None:
    """Not the graph, the client or the checkpointer is the same: only the file is."""
    effects: list[str] = []
    kept = tmp_path / "checkpoints"
    credentials = nexus.credentials("my-agent")
    first = OblivionClient(**credentials, client_id="my-agent")
    employ(first, release_graph(FileSaver(kept), effects))
    await first.connect()
    task = await nexus.assign("2.1")
    await nexus.expect_message(task, kind="question")
    await nexus.say(task, "sure")
    await nexus.expect_message(task, kind="question")
    await nexus.lose_lease(task)
    await first.disconnect()
    if answered_meanwhile:
        await nexus.say(task, "do it")
    second = OblivionClient(**credentials, client_id="my-agent")
    employ(second, release_graph(FileSaver(kept), effects))
    async with second:
        if not answered_meanwhile:  # the answer to the first question is none to the second
            await nexus.expect_message(task, "Release 2.1?", kind="question")
            await nexus.say(task, "do it")
        done = await nexus.expect_status(task, "DONE")
    assert done.result == {"answers": ["Ann: sure", "Ann: do it"]}
    assert effects == ["prepared", "released"], "nothing was done twice"
    questions = [one for one in nexus.thread(task) if one.kind == "question"]
    assert len(questions) == 2 + (not answered_meanwhile)


async def test_an_attempt_after_one_that_failed_repeats_the_failed_step_alone(
    nexus: FakeNexus, client: OblivionClient
) -> None:
    tries: list[str] = []

    def one(state: Release) -> Release:
        tries.append("one")
        return {"answers": []}

    def two(state: Release) -> Release:
        tries.append("two")
        if len(tries) < 3:
            raise ValueError("not yet")
        return {"answers": ["well"]}

    graph = StateGraph(Release)
    graph.add_node("one", one)
    graph.add_node("two", two)
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    employ(client, graph.compile(checkpointer=InMemorySaver()))
    async with nexus.agent(client):
        task = await nexus.assign("2.1")
        await nexus.expect_status(task, "TODO")
        await nexus.clock.advance(60)
        done = await nexus.expect_status(task, "DONE")
    assert (done.result, tries) == ({"answers": ["well"]}, ["one", "two", "two"])


async def test_graphs_that_cannot_wait_are_refused_in_words(
    connected: OblivionClient, nexus: FakeNexus
) -> None:
    task = TaskAssignedPayload.model_validate({"taskId": "t", "title": "a"})
    with pytest.raises(UsageError, match="compiled with a checkpointer"):
        await run_graph(connected, release_graph(None, []), task, {"name": "x"})
    graph = StateGraph(Release)
    graph.add_node("other", lambda _: interrupt("for somebody else"))
    graph.add_edge(START, "other")
    foreign = graph.compile(checkpointer=InMemorySaver())
    with pytest.raises(UsageError, match="something else than ask_human"):
        await run_graph(connected, foreign, task, {"name": "x"})


# --- a model that asks and acts by itself


class Scripted(GenericFakeChatModel):
    """A model that says what it is given to say, and keeps which tools it was offered."""

    offered: list[str] = Field(default_factory=list)

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        self.offered.extend(tool.name for tool in tools)
        return self


async def test_a_model_uses_tools_and_asks_people_by_itself(
    nexus: FakeNexus, client: OblivionClient
) -> None:
    nexus.tool("shop", price=lambda params: {"cents": 250})
    model = Scripted(
        messages=iter(
            [
                AIMessage("", tool_calls=[call("shop_price", of="tea")]),
                AIMessage("", tool_calls=[call("ask_human", question="That is 2.50. Buy it?")]),
                AIMessage("bought"),
            ]
        )
    )
    seen: list[Any] = []

    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> Any:
        known = await client.list_tools()
        tools = [*langchain_tools(client, known, task_id=task.task_id), ask_human_tool()]
        bound = model.bind_tools(tools)

        async def think(state: MessagesState) -> Any:
            return {"messages": [await bound.ainvoke(state["messages"])]}

        graph = StateGraph(MessagesState)
        graph.add_node("think", think)
        graph.add_node("tools", ToolNode(tools))
        graph.add_edge(START, "think")
        graph.add_conditional_edges("think", tools_condition)
        graph.add_edge("tools", "think")
        inputs = {"messages": [HumanMessage(task.title)]}
        compiled = graph.compile(checkpointer=InMemorySaver())
        state = await run_graph(client, compiled, task, inputs)
        seen.extend(state["messages"])
        return {"said": state["messages"][-1].text}

    async with nexus.agent(client):
        task = await nexus.assign("Buy tea")
        await nexus.expect_message(task, "Buy it?", kind="question")
        await nexus.say(task, "go on")
        done = await nexus.expect_status(task, "DONE")
    assert done.result == {"said": "bought"}
    assert model.offered == ["shop_price", "ask_human"]
    assert [m.content for m in seen if isinstance(m, ToolMessage)] == ['{"cents": 250}', "go on"]
    assert [request.task_id for request in nexus.tool_requests] == [task.id]


async def test_without_the_extra_the_module_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['langgraph'] = None; sys.modules['langchain_core'] = None\n"
        "import oblivion.integrations.langgraph"
    )
    import sys

    ran = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await ran.communicate()
    assert b"pip install 'oblivion-sdk[langgraph]'" in complaint.splitlines()[-1]
