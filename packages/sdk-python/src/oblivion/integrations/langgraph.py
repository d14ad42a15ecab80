"""Where LangGraph meets Oblivion: Nexus's tools as LangChain tools, people's answers by interrupt.

Needs the extra ``oblivion-sdk[langgraph]``.

* :func:`langchain_tools` makes of ``await client.list_tools()`` tools for any model and graph;
* :func:`ask_human` in a node, or :func:`ask_human_tool` for a model, interrupts a graph until a
  person has answered;
* :func:`run_graph` runs a graph for a task: it posts the questions, and resumes with the answers.
"""

import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

try:
    from langchain_core.tools import BaseTool, StructuredTool, ToolException
    from langgraph.types import Command, interrupt
except ImportError as error:
    raise ImportError(
        "oblivion.integrations.langgraph needs LangGraph: pip install 'oblivion-sdk[langgraph]'"
    ) from error

from oblivion import (
    ContextUpdatePayload,
    InvalidArgument,
    OblivionClient,
    TaskAssignedPayload,
    ThreadMessage,
    ToolInfo,
    ToolResultPayload,
    UsageError,
)

__all__ = ["NexusTool", "ask_human", "ask_human_tool", "langchain_tools", "run_graph"]

OnStep: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[object]]
"""Is awaited with the name of a node that ended, and with what it changed."""

_QUESTION = "oblivion_question"
"""Under this key an interrupt carries a question for people."""

_HEARD = "oblivion_heard"
"""Under this key a checkpoint keeps the place in the thread of the last answer that it knows."""

_LONGEST_NAME = 64


# --- tools ----------------------------------------------------------------------------------------


class NexusTool(BaseTool):
    """An action of one of Nexus's tools, as a LangChain tool.

    The model reads the result as text; ``artifact`` of the message is the whole
    :class:`~oblivion.ToolResultPayload`, which is marked ``untrusted``. A call without success is a
    :class:`ToolException`; as long as ``handle_tool_error`` is set, that is a message with
    the status ``error`` which the model can read, and the graph goes on. It runs async only.
    """

    client: Any
    tool: str
    action: str
    task_id: str | None = None
    timeout: float = 30.0
    handle_tool_error: Any = True
    response_format: Any = "content_and_artifact"

    def _run(self, /, **_: Any) -> Any:
        raise NotImplementedError(f"{self.name} runs async only: await it with ainvoke")

    # Positional, so that a parameter of the tool may have any name.
    async def _arun(self, /, **params: Any) -> tuple[str, ToolResultPayload]:
        try:
            result: ToolResultPayload = await self.client.request_tool(
                self.tool, self.action, params, timeout=self.timeout, task_id=self.task_id
            )
        except InvalidArgument as refused:
            raise ToolException(f"invalid_params: {refused}") from refused
        if not result.success:
            raise ToolException(f"{result.code or 'tool_failed'}: {result.error}")
        return _text(result.data), result


def langchain_tools(
    client: OblivionClient,
    known: Iterable[ToolInfo],
    *,
    task_id: str | None = None,
    timeout: float = 30.0,
) -> list[NexusTool]:
    """Return LangChain tools for what ``await client.list_tools()`` has returned.

    Each is called ``tool_action``, in letters that every model takes. ``timeout`` is in seconds and
    does not count the time that a person takes to approve; the task named by ``task_id`` is
    BLOCKED_ON_HUMAN meanwhile.
    """
    taken: set[str] = set()
    return [
        NexusTool(
            name=_name(info, taken),
            description=_description(info),
            args_schema={"type": "object", "properties": {}, **info.input_schema},
            client=client,
            tool=info.tool,
            action=info.action,
            task_id=task_id,
            timeout=timeout,
        )
        for info in known
    ]


def _name(info: ToolInfo, taken: set[str]) -> str:
    """Return a name of at most 64 letters, digits, ``_`` and ``-``, that no other tool has."""
    whole = f"{info.tool}.{info.action}"
    name = re.sub(r"[^A-Za-z0-9_-]", "_", whole)
    if len(name) > _LONGEST_NAME or name in taken:
        mark = hashlib.sha256(whole.encode()).hexdigest()[:8]
        name = f"{name[: _LONGEST_NAME - 9]}_{mark}"
    taken.add(name)
    return name


def _description(info: ToolInfo) -> str:
    parts = [info.description or f"{info.tool}.{info.action}"]
    if info.requires_approval:
        parts.append("A person looks at each call first, which may take a while.")
    return "\n\n".join(parts)


def _text(data: Any) -> str:
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)


# --- questions ------------------------------------------------------------------------------------


def ask_human(question: str, *, choices: Collection[str] = ()) -> ContextUpdatePayload:
    """Interrupt the graph until a person has answered, and return the answer.

    For a node or a tool of a graph that :func:`run_graph` runs. As with every interrupt, the node
    runs again from its beginning when the answer is there: what has an effect belongs behind the
    question, or into a node of its own.
    """
    answer = interrupt({_QUESTION: question, "choices": list(choices)})
    return ContextUpdatePayload.model_validate(answer)


def ask_human_tool(name: str = "ask_human") -> BaseTool:
    """Return a tool by which a model asks the people in the task's thread."""

    async def ask(question: str) -> str:
        return ask_human(question).content

    description = "Ask the people who gave the task a question, and return what they answer."
    return StructuredTool.from_function(coroutine=ask, name=name, description=description)


# --- graphs ---------------------------------------------------------------------------------------


class Graph(Protocol):
    """What is needed of a compiled graph; LangGraph's has it."""

    checkpointer: Any

    def astream(self, input: Any, config: Any = None, *, stream_mode: Any) -> AsyncIterator[Any]:
        """Run it, and yield what its nodes change."""
        ...

    async def aget_state(self, config: Any) -> Any:
        """Return where it stands."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Open:
    """A question that a graph waits for."""

    interrupt_id: str
    text: str
    choices: list[str]


async def run_graph(
    client: OblivionClient,
    graph: Graph,
    task: TaskAssignedPayload,
    inputs: Any,
    *,
    answer_timeout: float | None = None,
    on_step: OnStep | None = None,
) -> dict[str, Any]:
    """Run a graph for a held task to its end, and return its last state.

    Where it is interrupted by :func:`ask_human`, the question is posted into the task's thread and
    the graph resumes with the answer. The graph's thread is the task: a further attempt at it goes
    on where the last one stopped, as far as the graph's checkpointer kept that, and an answer that
    came meanwhile counts. ``answer_timeout``, in seconds, is what people have for each answer.

    Raises:
        UsageError: the graph has no checkpointer, or was interrupted by something else.
        HumanTimeout: nobody answered in time.
        LeaseLost: the task is not, or no longer, this agent's.
    """
    if not graph.checkpointer:
        raise UsageError("run_graph needs a graph that was compiled with a checkpointer")
    config = _config(task, "")
    state = await graph.aget_state(config)
    is_new = state.created_at is None
    heard: str = "" if is_new else state.metadata.get(_HEARD, "")
    early = [] if is_new else _behind(await client.get_thread(task.task_id), heard)
    while is_new or state.next:
        given = inputs if is_new else None
        answers: dict[str, Any] = {}
        for question in _questions(state.interrupts):
            answer = _answered(task, question, early) or await client.ask_human(
                task.task_id, question.text, answer_timeout, choices=question.choices
            )
            heard, answers[question.interrupt_id] = answer.message_ts, answer.to_wire()
            given = Command(resume=answers)
        config = _config(task, heard)
        await _run(graph, given, config, on_step)
        state, is_new, early = await graph.aget_state(config), False, []
    return dict(state.values)


def _config(task: TaskAssignedPayload, heard: str) -> dict[str, Any]:
    """Return whose thread a run is, and, for a later attempt, up to where people were heard."""
    return {"configurable": {"thread_id": task.task_id}, "metadata": {_HEARD: heard}}


async def _run(graph: Graph, given: Any, config: Any, on_step: OnStep | None) -> None:
    async for step in graph.astream(given, config, stream_mode="updates"):
        for node, changes in step.items():
            if on_step is not None and node != "__interrupt__":
                await on_step(node, changes or {})


def _questions(interrupts: Iterable[Any]) -> list[_Open]:
    return [_question(one.id, one.value) for one in interrupts]


def _question(interrupt_id: str, value: Any) -> _Open:
    """Read what :func:`ask_human` has asked."""
    if not isinstance(value, dict) or _QUESTION not in value:
        raise UsageError("the graph was interrupted by something else than ask_human")
    said = cast("dict[str, Any]", value)
    return _Open(interrupt_id=interrupt_id, text=said[_QUESTION], choices=said.get("choices", []))


def _behind(thread: list[ThreadMessage], place: str) -> list[ThreadMessage]:
    """Return the messages behind a place in a thread; all, where it is not there."""
    places = [message.ts for message in thread]
    return thread[places.index(place) + 1 :] if place in places else thread


def _answered(
    task: TaskAssignedPayload, question: _Open, thread: Iterable[ThreadMessage]
) -> ContextUpdatePayload | None:
    """Return what a person has said to the question of an earlier attempt, if one has."""
    was_asked = False
    for message in thread:
        if was_asked and message.is_human and not message.deleted:
            return _payload(task, message)
        was_asked |= message.kind == "question" and message.text == question.text
    return None


def _payload(task: TaskAssignedPayload, message: ThreadMessage) -> ContextUpdatePayload:
    return ContextUpdatePayload(
        task_id=task.task_id,
        message_ts=message.ts,
        author=message.username,
        author_id=message.user,
        content=message.text,
        is_human=True,
    )
