"""Every Python block of the user's own document runs as it stands, and every comment in it is true.

Only the URL and the credentials are substituted, and ``# ...`` where the document leaves them out.
"""

import asyncio
import contextlib
import inspect
import logging
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import oblivion
from code_blocks import CodeBlock, code_blocks
from eventually import eventually
from live_nexus import AGENT_SECRET, LiveNexus, live_nexus
from nexus.testing.github import GitHubServer
from oblivion import AgentStatus, EventType, OblivionClient, TaskAssignedPayload
from programs import Program, python_program

SEED = Path(__file__).parent / "seed" / "python-sdk-quickstart.md"
BLOCKS = code_blocks(SEED, "python")


def block(*texts: str) -> CodeBlock:
    """Return the only block that contains all of ``texts``."""
    (found,) = [one for one in BLOCKS if all(text in one.text for text in texts)]
    return found


QUICK_START = block("Agent connected and ready!")
CONFIGURATION = block("# Required: OAuth2 client ID")
TASK_EVENTS = block("async def handle_new_task")
CONNECTION_EVENTS = block("@client.on_wake_up", "Called when agent is woken up")
STATUS_UPDATES = block("# Return to idle")
TOOL_REQUESTS = block("client.request_tool(")
HEARTBEAT = block("client.send_heartbeat()")
ERROR_HANDLING = block("Connection failed")
COMPLETE = block("code-reviewer")
EVENT_TYPES = block("EventType.TASK_ASSIGNED ")
TYPED_PAYLOADS = block("HeartbeatPayload")
LOGGING = block("logging.basicConfig")
RECONNECTION = block("# Exponential backoff")


def test_every_python_block_of_the_document_is_tested_here() -> None:
    tested = {name: value for name, value in globals().items() if isinstance(value, CodeBlock)}
    assert {one.line for one in tested.values()} == {one.line for one in BLOCKS}


def substituted(text: str, url: str) -> str:
    """Return a block's text with our URL and secret; the client ids stay as they are."""
    text = text.replace("http://localhost:3000", url)
    text = re.sub(r'client_secret="[^"]*"', f'client_secret="{AGENT_SECRET}"', text)
    whole = f'nexus_url="{url}", client_id="my-agent", client_secret="{AGENT_SECRET}",'
    return text.replace("    # ...\n", f"    {whole}\n")


@pytest.fixture
async def nexus(tmp_path: Path) -> AsyncIterator[LiveNexus]:
    """A Nexus with the document's agents in one team."""
    async with live_nexus(tmp_path / "data") as nexus:
        await nexus.admin.team()
        for client_id in ("my-agent", "code-reviewer"):
            await nexus.admin.agent(client_id)
        yield nexus


@contextlib.asynccontextmanager
async def running(one: CodeBlock, nexus: LiveNexus, folder: Path) -> AsyncIterator[Program]:
    """Run a whole program of the document as its own process."""
    script = folder / "agent.py"
    script.write_text(substituted(one.text, nexus.url))
    async with python_program(script) as program:
        yield program


async def run_snippet(one: CodeBlock, nexus: LiveNexus, **names: Any) -> dict[str, Any]:
    """Run a fragment of the document in this process."""
    snippet = CodeBlock(
        page=one.page,
        line=one.line,
        language="python",
        info="",
        text=substituted(one.text, nexus.url),
    )
    return await snippet.run({"OblivionClient": OblivionClient, **names})


@contextlib.asynccontextmanager
async def connected(nexus: LiveNexus, **options: Any) -> AsyncIterator[OblivionClient]:
    """Connect an agent in this process."""
    async with OblivionClient(**nexus.agent_settings("my-agent"), **options) as client:
        yield client


async def test_the_quick_start_does_its_task_and_hears_the_thread(
    nexus: LiveNexus, tmp_path: Path
) -> None:
    async with running(QUICK_START, nexus, tmp_path) as program:
        await program.until("✅ Agent connected and ready!")
        task = await nexus.admin.task("Say hello")
        await program.until("📋 New task: Say hello")
        done = await nexus.admin.until(task["id"], "DONE")
        assert done["attempt"] == 1


async def test_the_quick_start_works_under_the_claim_policy_too(
    nexus: LiveNexus, tmp_path: Path
) -> None:
    await nexus.admin.project("race", group="team", policy="claim")
    async with running(QUICK_START, nexus, tmp_path) as program:
        await program.until("✅ Agent connected and ready!")
        task = await nexus.admin.task("Claim me", project="race")
        await program.until("📋 New task: Claim me")
        await nexus.admin.until(task["id"], "DONE")


async def test_the_configuration_has_the_documented_defaults(nexus: LiveNexus) -> None:
    names = await run_snippet(CONFIGURATION, nexus)
    assert isinstance(names["client"], OblivionClient)
    parameters = inspect.signature(OblivionClient).parameters
    assert parameters["auto_reconnect"].default is True
    assert parameters["reconnect_delay"].default == 5.0
    for required in ("nexus_url", "client_id", "client_secret"):
        assert parameters[required].default is inspect.Parameter.empty


async def test_task_events_show_every_documented_field(
    nexus: LiveNexus, capsys: pytest.CaptureFixture[str]
) -> None:
    client = OblivionClient(**nexus.agent_settings("my-agent"))
    names = await run_snippet(TASK_EVENTS, nexus, client=client)
    assert {"handle_new_task", "handle_thread_update"} <= names.keys()
    async with client:
        task = await nexus.admin.task("Look at it", priority=2)
        expected = ("Title: Look at it", f"Task ID: {task['id']}", "Priority: 2", "Project: Team")
        await until_printed(capsys, *expected)


async def test_a_person_in_the_thread_is_heard_as_a_human(
    nexus: LiveNexus, capsys: pytest.CaptureFixture[str]
) -> None:
    client = OblivionClient(**nexus.agent_settings("my-agent"))
    spoken = asyncio.Event()

    async def until_spoken(payload: TaskAssignedPayload) -> None:
        await spoken.wait()

    text = TASK_EVENTS.text[TASK_EVENTS.text.index("@client.on_context_update") :]
    client.on_task_assigned(until_spoken)
    await CodeBlock(page="seed", line=0, language="python", info="", text=text).run(
        {"client": client}
    )
    async with client:
        task = await nexus.admin.task()
        await nexus.admin.until(task["id"], "CLAIMED")
        await nexus.admin.say(task["id"], "Hello agent", author="Ann")
        await until_printed(capsys, "Author: Ann", "Message: Hello agent", "👤 Human responded")
        spoken.set()
        await nexus.admin.until(task["id"], "DONE")


async def test_a_mention_and_a_person_wake_the_agent(
    nexus: LiveNexus, capsys: pytest.CaptureFixture[str]
) -> None:
    client = OblivionClient(**nexus.agent_settings("my-agent"))
    await run_snippet(CONNECTION_EVENTS, nexus, client=client)
    async with client:
        task = await nexus.admin.task()
        await nexus.admin.say(task["id"], "@my-agent look here")
        await until_printed(capsys, f"Woken up for task: {task['id']}", "Reason: mention")
        await nexus.admin.post("/observer/agents/my-agent/wake", message="Good morning")
        await until_printed(capsys, "Woken up for task: None", "Reason: manual")


async def test_status_updates_are_seen_by_people(nexus: LiveNexus) -> None:
    lines = STATUS_UPDATES.text.split("# Return to idle")
    to_idle, to_error = lines[1].split("# Report error")
    async with connected(nexus) as client:
        await run_text(lines[0], client=client)
        assert await agent_status(nexus) == ("working", "Processing data")
        await run_text(to_idle, client=client)
        assert (await agent_status(nexus))[0] == "idle"
        await run_text(to_error, client=client)
        assert await agent_status(nexus) == ("error", "Database connection failed")
    assert [*AgentStatus] == ["idle", "working", "error"]


async def test_a_tool_that_nobody_registered_is_a_readable_error(
    nexus: LiveNexus, capsys: pytest.CaptureFixture[str]
) -> None:
    async with connected(nexus) as client:
        names = await run_snippet(TOOL_REQUESTS, nexus, client=client)
    assert names["result"].success is False
    assert capsys.readouterr().out == (
        "Error: unknown tool 'github': no tool of that name is registered in this Nexus\n"
    )


async def test_a_tool_request_opens_a_pull_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with GitHubServer.running() as github:
        repo = github.add_repository("my-org/my-repo")
        repo.add_branch("feature-branch")
        token, url = github.token, github.api_url
        async with live_nexus(tmp_path / "data", github_token=token, github_api_url=url) as nexus:
            await nexus.admin.team()
            await nexus.admin.agent("my-agent")
            await nexus.admin.post("/observer/tools/rules", tools=["github.create_pr"])
            async with connected(nexus) as client:
                names = await run_snippet(TOOL_REQUESTS, nexus, client=client)
    assert names["result"].success is True
    (pull,) = repo.pulls
    assert (pull.title, pull.head, pull.base) == ("Fix bug", "feature-branch", "main")
    out = capsys.readouterr().out
    assert out.startswith("PR created: {")
    assert f"{github.url}/my-org/my-repo/pull/1" in out
    assert token not in out


async def test_a_manual_heartbeat_is_answered(nexus: LiveNexus) -> None:
    async with connected(nexus) as client:
        await run_snippet(HEARTBEAT, nexus, client=client)


async def test_heartbeats_are_automatic_by_default(tmp_path: Path) -> None:
    async with live_nexus(tmp_path / "data", heartbeat_seconds=0.3) as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("my-agent")
        async with connected(nexus):
            first = (await nexus.admin.get("/observer/agents/my-agent"))["lastSeenAt"]

            async def seen_again() -> bool:
                agent = await nexus.admin.get("/observer/agents/my-agent")
                return bool(agent["lastSeenAt"] != first)

            await eventually(seen_again, what="a heartbeat without any call")


async def test_a_failed_connection_is_an_error_that_says_why(
    nexus: LiveNexus, tmp_path: Path
) -> None:
    script = tmp_path / "agent.py"
    script.write_text(ERROR_HANDLING.text.replace("http://localhost:3000", nexus.url))
    async with python_program(script) as program:
        assert await program.ended() == 0
        assert program.output.startswith("Connection failed: ")
        assert "secret" in program.output
        assert "Traceback" not in program.output


async def test_the_complete_example_reviews_answers_and_says_goodbye(
    nexus: LiveNexus, tmp_path: Path
) -> None:
    async with running(COMPLETE, nexus, tmp_path) as program:
        await program.until("🔌 Connecting to Nexus...")
        agent = await nexus.admin.get("/observer/agents/code-reviewer")
        await program.until(f"✅ Connected! Agent ID: {agent['id']}")
        task = await nexus.admin.task("Review the parser")
        await program.until("📋 Reviewing: Review the parser")
        await nexus.admin.until(task["id"], "IN_PROGRESS")
        await nexus.admin.say(task["id"], "I have a question", author="Bob")
        await program.until("❓ Question from Bob")
        await nexus.admin.say(task["id"], "@code-reviewer hurry")
        await program.until(f"👋 Woken up for task: {task['id']}")
        await program.until("Reason: mention")
        await program.until("Review complete: ✅ Code looks good! No issues found.")
        await nexus.admin.until(task["id"], "DONE")
        program.send(signal.SIGINT)
        await program.ended()
        assert "👋 Agent shutting down..." in program.output
        assert "Traceback" not in program.output


async def test_every_documented_event_type_exists(nexus: LiveNexus) -> None:
    await run_snippet(EVENT_TYPES, nexus)
    documented = re.findall(r"EventType\.(\w+)", EVENT_TYPES.text)
    assert [EventType[name] for name in documented] == [name.lower() for name in documented]


async def test_payloads_are_pydantic_models_with_full_type_hints(nexus: LiveNexus) -> None:
    client = OblivionClient(**nexus.agent_settings("my-agent"))
    names = await run_snippet(TYPED_PAYLOADS, nexus, client=client)
    payload = TaskAssignedPayload.model_validate({"taskId": "t", "title": "T", "priority": 1})
    await names["handler"](payload)
    hints = get_type_hints(TaskAssignedPayload)
    assert (hints["task_id"], hints["title"], hints["priority"]) == (str, str, int)
    for name in re.findall(r"\w+Payload\b", TYPED_PAYLOADS.text):
        assert issubclass(getattr(oblivion, name), oblivion.protocol._base.WireModel)


async def test_debug_logs_show_events_with_their_context(nexus: LiveNexus, tmp_path: Path) -> None:
    program_text = substituted(QUICK_START.text, nexus.url)
    script = tmp_path / "agent.py"
    script.write_text(LOGGING.text + program_text)
    async with python_program(script) as program:
        await program.until("✅ Agent connected and ready!")
        task = await nexus.admin.task("Fix bug")
        await program.until(f'event=task_assigned task_id={task["id"]} title="Fix bug"')
        await nexus.admin.until(task["id"], "DONE")
        assert AGENT_SECRET not in program.output


def test_importing_the_sdk_configures_no_logging() -> None:
    assert logging.getLogger("oblivion").handlers == []


async def test_reconnection_is_as_documented(nexus: LiveNexus) -> None:
    names = await run_snippet(RECONNECTION, nexus)
    assert isinstance(names["client"], OblivionClient)


async def run_text(text: str, **names: Any) -> None:
    await CodeBlock(page="seed", line=0, language="python", info="", text=text).run(names)


async def agent_status(nexus: LiveNexus) -> tuple[str, str | None]:
    agent = await nexus.admin.get("/observer/agents/my-agent")
    return agent["connectionStatus"], agent.get("statusMessage")


async def until_printed(capsys: pytest.CaptureFixture[str], *lines: str) -> None:
    printed: list[str] = []

    async def all_there() -> bool:
        printed.extend(capsys.readouterr().out.splitlines())
        return all(line in printed for line in lines)

    await eventually(all_there, what=f"all of {lines} are printed")
