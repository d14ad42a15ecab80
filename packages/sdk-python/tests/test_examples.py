"""The programs in ``examples/`` do what they say, as processes against a real Nexus."""

import asyncio
import contextlib
import importlib.util
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from example_agents import (
    ExampleProcess,
    credentials,
    employ,
    load_example,
    run_to_its_end,
    said_in,
    thread_of,
    words_of,
    working_example,
)
from free_port import free_port
from live_nexus import Admin, NexusProcess
from oblivion import OblivionClient
from oblivion.testing import FakeNexus

EXAMPLES = ["simple_agent", "code_reviewer", "langgraph_agent"]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def nexus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NexusProcess]:
    """One ``nexus serve`` for all; each test has its own team in it."""
    process = NexusProcess(tmp_path_factory.mktemp("nexus") / "data", free_port())
    asyncio.run(process.start())
    yield process
    asyncio.run(process.kill())


@pytest.fixture
async def admin(nexus: NexusProcess) -> AsyncIterator[Admin]:
    """An admin at hand."""
    async with Admin(nexus.url) as admin:
        yield admin


@pytest.fixture
def team() -> str:
    """A name for a group, its project and its agent."""
    return f"team-{next(_numbers)}"


@pytest.fixture(scope="module")
def project_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one file that gives cause for remarks, and one that does not."""
    folder = tmp_path_factory.mktemp("reviewed") / "project"
    folder.mkdir()
    (folder / "shop.py").write_text(SHOP)
    (folder / "tidy.py").write_text('"""Nothing to see."""\n')
    (folder.parent / "secret.py").write_text("import os\n")
    (folder / "link.py").symlink_to(folder.parent / "secret.py")
    return folder


@pytest.fixture(scope="module")
def reviewers(
    nexus: NexusProcess, project_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A project whose tasks the code reviewer does."""
    root = {"CODE_REVIEW_ROOT": str(project_dir)}
    with employed("code_reviewer", nexus, "reviewers", tmp_path_factory, **root) as team:
        yield team


@pytest.fixture(scope="module")
def summarisers(nexus: NexusProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A project whose tasks the LangGraph agent does."""
    with employed("langgraph_agent", nexus, "summarisers", tmp_path_factory) as team:
        yield team


@contextlib.contextmanager
def employed(
    name: str,
    nexus: NexusProcess,
    team: str,
    folders: pytest.TempPathFactory,
    **variables: str,
) -> Iterator[str]:
    """Have an example at work for several tests."""

    async def start() -> ExampleProcess:
        async with Admin(nexus.url) as admin:
            return await employ(name, admin, team, folders.mktemp(team), **variables)

    process = asyncio.run(start())
    try:
        yield team
    finally:
        asyncio.run(process.kill())


SHOP = '''"""A shop."""
import os
import sys


def price(kind):
    if kind == None:
        raise ValueError("no kind")
    unused = 1
    return 7
'''


# --- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXAMPLES)
async def test_an_example_without_credentials_says_which_are_missing(name: str) -> None:
    code, output = await run_to_its_end(name)
    assert code == 1
    assert "OBLIVION_NEXUS_URL, OBLIVION_CLIENT_ID, OBLIVION_CLIENT_SECRET" in output
    assert "Traceback" not in output


async def test_an_example_with_a_wrong_secret_says_so_and_ends(admin: Admin, team: str) -> None:
    await admin.agent(team, groups=())
    variables = credentials(str(admin.http.base_url), team, "not-the-secret")
    code, output = await run_to_its_end("simple_agent", **variables)
    assert code == 1
    assert output.splitlines()[-1].startswith("simple_agent: ")
    assert "Traceback" not in output


@pytest.mark.parametrize("name", EXAMPLES)
async def test_ctrl_c_ends_an_example_without_complaint(
    name: str, admin: Admin, team: str, tmp_path: Path
) -> None:
    async with working_example(name, admin, team, tmp_path) as example:
        assert await example.stop() == 0
        assert "Traceback" not in example.output


# --- simple_agent ---------------------------------------------------------------------------------


async def test_the_simple_agent_does_its_task_and_says_so_in_the_thread(
    admin: Admin, team: str, tmp_path: Path
) -> None:
    async with working_example("simple_agent", admin, team, tmp_path) as example:
        task = await admin.task("Count", project=team, description="one two three")
        done = await admin.until(task["id"], "DONE")
    assert done["result"] == {"words": 3, "remarks": []}
    assert [message["text"] for message in await thread_of(admin, task)] == [
        "100 %: writing it down",
        "I counted 3 words.",
    ]
    assert "✅ Connected! Agent ID: " in example.output
    assert "📋 New task: Count (priority 3)" in example.output


async def test_the_simple_agent_hears_people_while_it_works(
    admin: Admin, team: str, tmp_path: Path
) -> None:
    async with working_example("simple_agent", admin, team, tmp_path):
        task = await admin.task("Count", project=team)
        await admin.until(task["id"], "IN_PROGRESS")
        await admin.say(task["id"], "Take your time.")
        await said_in(admin, task, "Noted, Ann.")
        done = await admin.until(task["id"], "DONE")
    assert done["result"]["remarks"] == ["Take your time."]


async def test_the_simple_agent_wakes_when_it_is_mentioned(
    admin: Admin, team: str, tmp_path: Path
) -> None:
    async with working_example("simple_agent", admin, team, tmp_path) as example:
        task = await admin.task("Count", project=team)
        await admin.until(task["id"], "DONE")
        await admin.say(task["id"], f"@{team} are you there?")
        await said_in(admin, task, "I am here.")
    assert "👋 Woken up (mention)" in example.output


# --- code_reviewer --------------------------------------------------------------------------------


async def test_the_reviewer_posts_the_findings_of_each_file_and_returns_their_numbers(
    admin: Admin, reviewers: str, project_dir: Path
) -> None:
    metadata = {"files": ["shop.py", "tidy.py"], "rules": ["ANN001", "E711"]}
    task = await admin.task("Review", project=reviewers, metadata=metadata)
    question = await said_in(admin, task, "Shall I show the diff?")
    await admin.say(task["id"], "no, thanks")
    done = await admin.until(task["id"], "DONE")
    assert question.startswith("1 finding in shop.py can be fixed automatically.")
    shop, tidy, asked, refused = [m for m in await words_of(admin, task) if not m["isHuman"]]
    assert shop["text"].splitlines() == [
        "**shop.py**: 2 findings (1 ANN001, 1 E711)",
        "- line 6: Missing type annotation for function argument `kind` (ANN001)",
        "- line 7: Comparison to `None` should be `cond is None` (E711)",
    ]
    assert tidy["text"] == "**tidy.py**: no findings ✅"
    assert (asked["text"], refused["text"]) == (question, "No diff, then.")
    assert done["result"] == {
        "files": ["shop.py", "tidy.py"],
        "findings": 2,
        "by_rule": {"ANN001": 1, "E711": 1},
    }


async def test_the_reviewer_shows_the_diff_to_who_wants_it_and_changes_nothing(
    admin: Admin, reviewers: str, project_dir: Path
) -> None:
    task = await admin.task("Have a look at shop.py, please", project=reviewers)
    await said_in(admin, task, "Shall I show the diff?")
    await admin.say(task["id"], "Yes, please!")
    await admin.until(task["id"], "DONE")
    diff = await said_in(admin, task, "```diff")
    assert "\n-import os\n-import sys\n" in diff
    assert diff.startswith("I changed nothing; I would:\n```diff\n")
    assert (project_dir / "shop.py").read_text() == SHOP
    assert {path.name for path in project_dir.iterdir()} == {"link.py", "shop.py", "tidy.py"}


async def test_the_reviewer_asks_which_files_when_a_task_names_none(
    admin: Admin, reviewers: str, project_dir: Path
) -> None:
    task = await admin.task("Review what matters", project=reviewers)
    await said_in(admin, task, "Which Python files shall I review?")
    await admin.until(task["id"], "BLOCKED_ON_HUMAN")
    await admin.say(task["id"], "only tidy.py")
    done = await admin.until(task["id"], "DONE")
    assert done["result"] == {"files": ["tidy.py"], "findings": 0, "by_rule": {}}


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"files": ["../secret.py"]}, "../secret.py lies outside of "),
    ({"files": ["link.py"]}, "link.py lies outside of "),
    ({"files": ["missing.py"]}, "there is no Python file missing.py in "),
    ({"files": "shop.py"}, "metadata.files must be a list of strings"),
    ({"files": ["shop.py"], "rules": ["--fix"]}, "'--fix' is no rule of ruff"),
    ({"files": ["shop.py"], "rules": ["QQQ"]}, "ruff could not run: "),
]


async def test_the_reviewer_refuses_readably_what_it_does_not_do(
    admin: Admin, reviewers: str, project_dir: Path
) -> None:
    for metadata, error in REFUSED:
        task = await admin.task("Review", project=reviewers, metadata=metadata, maxAttempts=1)
        failed = await admin.until(task["id"], "FAILED")
        assert failed["error"].startswith(f"CannotReview: {error}"), metadata
    assert (project_dir / "shop.py").read_text() == SHOP


async def test_the_reviewer_says_when_its_folder_is_not_there() -> None:
    code, output = await run_to_its_end("code_reviewer", CODE_REVIEW_ROOT="/nowhere")
    assert (code, output) == (1, "code_reviewer: CODE_REVIEW_ROOT: there is no folder /nowhere\n")


def test_the_reviewer_keeps_its_messages_short() -> None:
    reviewer = load_example("code_reviewer")
    findings = [
        reviewer.Finding(path="a.py", line=n, rule="E1", message=f"{n % 20:060}", fixable=False)
        for n in range(1000)
    ]
    message = reviewer.report("a.py", findings)
    assert message.startswith("**a.py**: 1000 findings (1000 E1)\n- lines 0, 20, 40, ")
    assert message.endswith("- and 8 more remarks")
    assert len(message) < 2_000
    assert reviewer.shorten("\n".join("+" for _ in range(100))).endswith("... 40 more lines\n```")


# --- langgraph_agent ------------------------------------------------------------------------------

TEXT = (
    "Agents take tasks from a queue of tasks. The weather was nice that day. "
    "Agents that finish tasks take more tasks from the queue. Nobody knows who invented tea."
)


async def test_the_graph_summarises_a_clear_task_without_asking(
    admin: Admin, summarisers: str
) -> None:
    task = await admin.task("Summarise in two sentences", project=summarisers, description=TEXT)
    done = await admin.until(task["id"], "DONE")
    assert done["result"] == {
        "summary": "Agents take tasks from a queue of tasks. "
        "Agents that finish tasks take more tasks from the queue.",
        "plan": "Summarise the text in 2 sentence(s).",
        "drafts": 1,
    }
    assert [m["text"] for m in await words_of(admin, task)] == [done["result"]["summary"]]


async def test_the_graph_asks_what_a_task_leaves_open_and_goes_on_with_the_answer(
    admin: Admin, summarisers: str
) -> None:
    task = await admin.task("Summarise this", project=summarisers, description=TEXT)
    await said_in(admin, task, "How many sentences shall the summary have?")
    await admin.until(task["id"], "BLOCKED_ON_HUMAN")
    await admin.say(task["id"], "just one")
    done = await admin.until(task["id"], "DONE")
    assert done["result"]["summary"] == "Agents take tasks from a queue of tasks."


async def test_the_graph_gives_up_when_answers_do_not_help(admin: Admin, summarisers: str) -> None:
    task = await admin.task("Summarise", project=summarisers, maxAttempts=1)
    for number in (1, 2):
        await said_in(admin, task, "Which text shall I summarise?")
        await admin.until(task["id"], "BLOCKED_ON_HUMAN")
        await admin.say(task["id"], f"you know which ({number})")
    failed = await admin.until(task["id"], "FAILED")
    assert failed["error"].startswith("StillUnclear: Which text shall I summarise?")


async def test_the_graph_writes_again_what_its_review_refused() -> None:
    example = load_example("langgraph_agent")
    from langchain_core.language_models import FakeListChatModel

    says = ["the plan", "a first draft", "too long", "a second draft", "OK"]
    graph = example.build_graph(example.Summariser(FakeListChatModel(responses=says)))
    state = await graph.ainvoke({"task": "Summarise"})
    assert (state["draft"], state["drafts"], state["verdict"]) == ("a second draft", 2, "OK")


async def test_the_graph_uses_what_nexus_allows_and_asks_as_the_model_says() -> None:
    """A scripted model, and tools that answer and fail."""
    example = load_example("langgraph_agent")
    client = OblivionClient("http://localhost:9", "my-agent", "secret")
    example.create_agent(client, scripted_model())
    async with FakeNexus() as nexus, nexus.agent(client):
        nexus.tool("library", fetch=lambda params: f"the text of {params['title']}", burn=burn)
        task = await nexus.assign("Summarise the book")
        await nexus.expect_message(task, "Which book?", kind="question")
        await nexus.say(task, "Momo")
        done = await nexus.expect_status(task, "DONE")
    assert done.result == {"summary": "a girl", "plan": "read Momo", "drafts": 1}
    assert [wish.params for wish in nexus.tool_requests] == [{"title": "Momo"}, {}]
    assert [wish.task_id for wish in nexus.tool_requests] == [task.id, task.id]


def scripted_model() -> Any:
    """A model that says what stands here, and reads what its tools said."""
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, ToolMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    calls = [
        {"type": "tool_call", "id": name, "name": f"library_{name}", "args": args}
        for name, args in (("fetch", {"title": "Momo"}), ("burn", {}))
    ]
    says = [
        AIMessage("QUESTION: Which book?"),
        AIMessage("read Momo"),
        AIMessage("", tool_calls=calls),
        AIMessage("a girl"),
        AIMessage("OK"),
    ]

    class Scripted(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "scripted"

        def bind_tools(self, tools: Any, **_: Any) -> Any:
            assert [tool.name for tool in tools] == ["library_burn", "library_fetch"]
            return self

        def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
            said = [one.text for one in messages if isinstance(one, ToolMessage)]
            assert said in ([], ["the text of Momo", "tool_failed: no fire here"])
            return ChatResult(generations=[ChatGeneration(message=says.pop(0))])

    return Scripted()


def burn(_: Any) -> Any:
    raise ValueError("no fire here")


@pytest.mark.skipif(
    importlib.util.find_spec("langchain") is not None, reason="langchain is installed"
)
async def test_a_provider_key_without_its_packages_says_what_to_install() -> None:
    code, output = await run_to_its_end("langgraph_agent", ANTHROPIC_API_KEY="a-key")
    assert code == 1
    assert "pip install langchain langchain-anthropic" in output
    assert "Traceback" not in output
