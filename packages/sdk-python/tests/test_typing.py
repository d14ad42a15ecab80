"""What type checkers say of programs that use the SDK: of right ones nothing, of wrong ones where.

Each line that ends in ``# wrong`` has to be an error in mypy and in pyright, and no other line.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from oblivion import InvalidHandlerError, OblivionClient

USES = """
from typing import assert_type

from oblivion import (
    AgentStatus,
    ConnectedPayload,
    ContextUpdatePayload,
    Limits,
    Network,
    OblivionClient,
    TaskAssignedPayload,
    Task,
    Timeouts,
    ToolResultPayload,
    run,
)

limits, timeouts = Limits(), Timeouts()
client = OblivionClient("http://localhost:3000", "my-agent", "s", limits=limits, timeouts=timeouts)


@client.on_task_assigned
async def work(task: TaskAssignedPayload) -> dict[str, int]:
    await client.update_status(AgentStatus.WORKING, task.task_id, "at it")
    await client.update_status("idle")
    result = await client.request_tool("github", "create_pr", {"title": "Fix"}, timeout=3)
    assert_type(result, ToolResultPayload)
    answer = await client.ask_human(task.task_id, "Sure?", choices=["Yes", "No"])
    assert_type(answer, ContextUpdatePayload)
    assert_type(await client.get_task(task.task_id), Task)
    return {"words": len(task.description.split())}


@client.on_context_update
def hear(message: ContextUpdatePayload) -> None:
    text: str = message.content
    print(text)


@client.on_wake_up
async def wake(call: object) -> None:
    "Takes more than it needs to."


@client.on_connected
def there() -> None: ...


@client.on_disconnected
async def gone(reason: str) -> None: ...


@client.tool("text", action="count")
def count(text: str, limit: int = 3) -> int:
    return len(text.split()[:limit])


async def directly(task: TaskAssignedPayload) -> None:
    assert_type(await work(task), dict[str, int])
    assert_type(count("a b", limit=1), int)
    await work("a task")  # wrong
    count(1)  # wrong
    hear(task)  # wrong


other = OblivionClient("http://localhost:3000", "other", "secret")


@other.on_task_assigned  # wrong
async def takes_nothing() -> None: ...


@other.on_context_update  # wrong
async def takes_two(message: ContextUpdatePayload, more: str) -> None: ...


@other.on_wake_up  # wrong
async def takes_another(message: ContextUpdatePayload) -> None: ...


@other.on_connected  # wrong
async def takes_two_of_them(greeting: ConnectedPayload, more: int) -> None: ...


@other.on_disconnected  # wrong
async def takes_a_number(reason: int) -> None: ...


@other.tool("text")  # wrong
def lacks_an_action() -> None: ...


other.on_tool_result("not a function")  # wrong
OblivionClient("http://localhost:3000", "my-agent")  # wrong
OblivionClient("http://localhost:3000", "my-agent", "secret", limits={"pending_calls": 1})  # wrong
Timeouts(connect="10")  # wrong
Network(ca_file=1)  # wrong
run("my-agent")  # wrong
run(client, other, livez_port=8080)


async def calls(task: TaskAssignedPayload) -> None:
    await client.update_status(1)  # wrong
    await client.complete_task(task)  # wrong
    await client.ask_human(task.task_id, "Sure?", 3, ["Yes"])  # wrong
    print(task.titel)  # wrong
"""


@pytest.fixture
def uses(tmp_path: Path) -> Path:
    path = tmp_path / "uses.py"
    path.write_text(USES)
    return path


def marked() -> list[int]:
    lines = enumerate(USES.splitlines(), start=1)
    return [number for number, line in lines if line.endswith("# wrong")]


@pytest.mark.timeout(240)
def test_mypy_finds_every_wrong_use_and_no_other(uses: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file="]
    ran = subprocess.run(
        [*command, "--hide-error-context", "--cache-dir", str(uses.parent / "cache"), str(uses)],
        check=False,
        capture_output=True,
        text=True,
        cwd=uses.parent,
    )
    found = re.findall(r"^uses\.py:(\d+): error:", ran.stdout, re.MULTILINE)
    assert sorted({int(line) for line in found}) == marked(), ran.stdout + ran.stderr


@pytest.mark.timeout(240)
def test_pyright_finds_every_wrong_use_and_no_other(uses: Path) -> None:
    (uses.parent / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    ran = subprocess.run(
        [*command, str(uses)],
        check=False,
        capture_output=True,
        text=True,
        cwd=uses.parent,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
    )
    said = json.loads(ran.stdout)["generalDiagnostics"]
    errors = [one for one in said if one["severity"] == "error"]
    lines = {one["range"]["start"]["line"] + 1 for one in errors}
    assert sorted(lines) == marked(), [(one["range"]["start"], one["message"]) for one in errors]


def test_what_checkers_call_wrong_is_refused_at_decoration_too() -> None:
    client = OblivionClient("http://localhost:3000", "my-agent", "secret")
    with pytest.raises(InvalidHandlerError, match="must take exactly one parameter"):

        @client.on_task_assigned  # type: ignore[type-var]  # that is what is tested
        async def takes_nothing() -> None: ...

    with pytest.raises(InvalidHandlerError, match="must take at most one parameter"):

        @client.on_connected  # type: ignore[type-var]  # that is what is tested
        async def takes_two(one: object, two: object) -> None: ...
