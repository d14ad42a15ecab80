"""A LangGraph agent that summarises texts: it plans, asks when a task is unclear, acts, reviews. ::

    START -> plan -> clear? -> act -> done? -> review -> good enough? -> END
              ^       |         ^       |                   |
              '- ask -'         |- use -'                   |
                                '------------ no -----------'

To ask interrupts the graph until a person has answered in the task's thread. To use is to call the
tools that Nexus allows this agent, if it allows any.

Without a key it runs on :class:`LocalModel`, a few rules that run anywhere and always say the same.
With ``ANTHROPIC_API_KEY`` or ``OPENAI_API_KEY`` the same graph runs on a real model. ::

    pip install "oblivion-sdk[langgraph]"              # with a key also: langchain-anthropic
    export OBLIVION_NEXUS_URL=... OBLIVION_CLIENT_ID=... OBLIVION_CLIENT_SECRET=...
    python langgraph_agent.py
"""

import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Literal, TypedDict

from langchain_core.language_models import BaseChatModel, SimpleChatModel
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.tools import BaseTool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from oblivion import OblivionClient, OblivionError, TaskAssignedPayload
from oblivion.integrations.langgraph import ask_human, langchain_tools, run_graph

PROVIDERS = {
    "ANTHROPIC_API_KEY": ("langchain-anthropic", "anthropic:claude-sonnet-4-5"),
    "OPENAI_API_KEY": ("langchain-openai", "openai:gpt-5-mini"),
}
MAX_QUESTIONS, MAX_DRAFTS, MAX_USES = 2, 3, 5
ANSWER_TIMEOUT = 3600.0  # seconds that a person may take

PLAN = (
    "You summarise texts. Say in one line what you will do with the task below. If it lacks the "
    "text, or the wanted length of the summary, answer with QUESTION: and one question instead."
)
ACT = "You summarise texts. Carry out the plan for the task below; answer with the summary alone."
REVIEW = (
    "You check summaries. Answer OK if the draft keeps to the task and the plan, else say in one "
    "line what is wrong."
)


class StillUnclear(Exception):
    """People were asked often enough; the message is the question that is still open."""


class TooManyUses(Exception):
    """The model asks for tools again and again."""


class State(TypedDict, total=False):
    """What the nodes know of one task; each node returns what it changes."""

    task: str
    plan: str
    messages: list[AnyMessage]
    draft: str
    verdict: str
    questions: int
    uses: int
    drafts: int


class Summariser:
    """The nodes of the graph and the ways between them."""

    def __init__(self, model: BaseChatModel, tools: Sequence[BaseTool] = ()) -> None:
        self._model = model
        self._tools = {tool.name: tool for tool in tools}
        self._worker = model.bind_tools(list(tools)) if tools else model

    async def plan(self, state: State) -> State:
        """Decide what to do, or what to ask."""
        return {"plan": await self._say(PLAN, state["task"])}

    async def ask(self, state: State) -> State:
        """Ask in the task's thread; the task is BLOCKED_ON_HUMAN until somebody answers."""
        question, asked = state["plan"].removeprefix("QUESTION:").strip(), state.get("questions", 0)
        if asked >= MAX_QUESTIONS:
            raise StillUnclear(question)
        answer = ask_human(question)
        return {"task": f"{state['task']}\n\n{question}\n{answer.content}", "questions": asked + 1}

    async def act(self, state: State) -> State:
        """Write a draft, or ask for tools; with an eye on what was wrong with the last draft."""
        messages = state.get("messages") or self._order(state)
        answer = await self._worker.ainvoke(messages)
        if answer.tool_calls:
            return {"messages": [*messages, answer]}
        drafts = state.get("drafts", 0) + 1
        return {"messages": [], "draft": answer.text.strip(), "drafts": drafts}

    async def use(self, state: State) -> State:
        """Have Nexus run the tools that the model asked for; what fails is told to the model."""
        messages, uses = state["messages"], state.get("uses", 0) + 1
        if uses > MAX_USES:
            raise TooManyUses(f"the model asked for tools {uses} times")
        asked = messages[-1]
        calls = asked.tool_calls if isinstance(asked, AIMessage) else []
        said = [await self._tools[call["name"]].ainvoke(call) for call in calls]
        return {"messages": [*messages, *said], "uses": uses}

    async def review(self, state: State) -> State:
        """Judge the draft."""
        parts = [state["task"], f"Plan: {state['plan']}", f"Draft: {state['draft']}"]
        return {"verdict": await self._say(REVIEW, "\n\n".join(parts))}

    def is_clear(self, state: State) -> Literal["ask", "act"]:
        """Go on to work, unless there is something to ask."""
        return "ask" if state["plan"].startswith("QUESTION:") else "act"

    def is_done(self, state: State) -> Literal["use", "review"]:
        """Go on to review, unless the model wants tools first."""
        return "use" if state["messages"] else "review"

    def is_good(self, state: State) -> Literal["act", "__end__"]:
        """End with a good draft, or when enough of them were written."""
        good = state["verdict"].strip().upper().startswith("OK")
        return "__end__" if good or state["drafts"] >= MAX_DRAFTS else "act"

    def _order(self, state: State) -> list[AnyMessage]:
        parts = [state["task"], f"Plan: {state['plan']}"]
        if remark := state.get("verdict"):
            parts.append(f"The last draft was refused: {remark}")
        return [SystemMessage(ACT), HumanMessage("\n\n".join(parts))]

    async def _say(self, role: str, content: str) -> str:
        answer = await self._model.ainvoke([SystemMessage(role), HumanMessage(content)])
        return answer.text.strip()


def build_graph(
    nodes: Summariser, checkpointer: BaseCheckpointSaver[Any] | None = None
) -> CompiledStateGraph[State, None, State, State]:
    """Return the graph drawn above; to ask, it needs a checkpointer."""
    graph = StateGraph(State)
    graph.add_node("plan", nodes.plan)
    graph.add_node("ask", nodes.ask)
    graph.add_node("act", nodes.act)
    graph.add_node("use", nodes.use)
    graph.add_node("review", nodes.review)
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", nodes.is_clear)
    graph.add_edge("ask", "plan")
    graph.add_conditional_edges("act", nodes.is_done)
    graph.add_edge("use", "act")
    graph.add_conditional_edges("review", nodes.is_good, {"act": "act", "__end__": END})
    return graph.compile(checkpointer=checkpointer)


def create_agent(client: OblivionClient, model: BaseChatModel) -> None:
    """Have the graph work on every task; each node that ends is progress that people see."""
    milestones = {"plan": 0.25, "ask": 0.25, "act": 0.75, "use": 0.5, "review": 1.0}
    # Attempts go on where the last one stopped; one in a database outlives this process too.
    checkpointer = InMemorySaver()

    @client.on_task_assigned
    async def summarise(payload: TaskAssignedPayload) -> dict[str, Any]:
        async def report(node: str, _changes: object) -> None:
            await client.report_progress(payload.task_id, milestones[node], f"{node}: done")

        await client.update_status("working", payload.task_id, "Planning...")
        tools = langchain_tools(client, await client.list_tools(), task_id=payload.task_id)
        graph = build_graph(Summariser(model, tools), checkpointer)
        inputs: State = {"task": f"{payload.title}\n\n{payload.description}"}
        try:
            state = await run_graph(
                client, graph, payload, inputs, answer_timeout=ANSWER_TIMEOUT, on_step=report
            )
        except (StillUnclear, TooManyUses):
            await checkpointer.adelete_thread(payload.task_id)  # another attempt begins anew
            raise
        await checkpointer.adelete_thread(payload.task_id)
        await client.post_message(payload.task_id, state["draft"])
        await client.update_status("idle")
        return {"summary": state["draft"], "plan": state["plan"], "drafts": state["drafts"]}


# --- models ---------------------------------------------------------------------------------------


def choose_model() -> BaseChatModel:
    """Return a provider's model if its key is set, else the local one."""
    for key, (package, name) in PROVIDERS.items():
        if os.environ.get(key):
            return provider_model(package, os.environ.get("LANGGRAPH_AGENT_MODEL", name))
    return LocalModel()


def provider_model(package: str, name: str) -> BaseChatModel:
    """Return a model of a provider; its packages are needed only here."""
    try:
        model: BaseChatModel = import_module("langchain.chat_models").init_chat_model(name)
    except ImportError as error:
        raise SystemExit(f"{name} needs more packages: pip install langchain {package}") from error
    return model


class LocalModel(SimpleChatModel):
    """No language model: rules that pick the sentences with the most frequent words."""

    @property
    def _llm_type(self) -> str:
        return "local-rules"

    def bind_tools(self, *_args: Any, **_kwargs: Any) -> "LocalModel":
        """Rules need no tools."""
        return self

    def _call(self, messages: list[BaseMessage], *_args: Any, **_kwargs: Any) -> str:
        role, content = messages[0].text, messages[-1].text
        return {PLAN: plan_by_rules, ACT: act_by_rules, REVIEW: review_by_rules}[role](content)


NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
A_NUMBER = rf"(\d+|{'|'.join(NUMBERS)})"
A_LENGTH = re.compile(
    rf"{A_NUMBER} sentences?\b|sentences [^\n]*\?\n.*?\b{A_NUMBER}\b", re.IGNORECASE
)


def plan_by_rules(task: str) -> str:
    """Name what is missing, or else the plan."""
    if len(sentences(task)) < 2:
        return "QUESTION: Which text shall I summarise?"
    length = wanted_length(task)
    if length is None:
        return "QUESTION: How many sentences shall the summary have?"
    return f"Summarise the text in {length} sentence(s)."


def act_by_rules(content: str) -> str:
    """Keep the sentences with the most frequent words, in the order of the text."""
    task, _, plan = content.partition("\n\nPlan: ")
    text = sentences(task)
    words = Counter(word for sentence in text for word in long_words(sentence))

    def weight(sentence: str) -> float:
        mine = long_words(sentence)
        return sum(words[word] for word in mine) / max(len(mine), 1)

    best = sorted(text, key=weight, reverse=True)[: wanted_length(plan) or 1]
    return " ".join(sentence for sentence in text if sentence in best)


def review_by_rules(content: str) -> str:
    """Compare the draft's length with the plan's."""
    plan, _, draft = content.partition("\n\nPlan: ")[2].partition("\n\nDraft: ")
    most = wanted_length(plan) or 1
    good = 0 < len(sentences(draft)) <= most
    return "OK" if good else f"The draft must have 1 to {most} sentence(s)."


def sentences(text: str) -> list[str]:
    """Return the sentences of a text that are worth keeping: neither questions nor a few words."""
    parts = re.split(r"(?<=[.!?])\s+|\n{2,}", text)
    return [part.strip() for part in parts if part.endswith((".", "!")) and len(part.split()) > 4]


def long_words(sentence: str) -> set[str]:
    """Return the words that carry meaning: roughly, those that are not short."""
    return {word for word in re.findall(r"\w+", sentence.lower()) if len(word) > 3}


def wanted_length(text: str) -> int | None:
    """Return how many sentences a text asks for: ``in two sentences``, or the answer to `plan`."""
    asked = A_LENGTH.search(text)
    if asked is None:
        return None
    number = (asked[1] or asked[2]).lower()
    return NUMBERS.get(number) or max(int(number), 1)


def main() -> None:
    """Summarise until Ctrl-C."""
    model = choose_model()
    print(f"Summaries by {model._llm_type}")
    client = OblivionClient.from_env()
    create_agent(client, model)
    client.run()


if __name__ == "__main__":
    try:
        main()
    except OblivionError as error:
        sys.exit(f"langgraph_agent: {error}")
