"""Where the programs in ``examples/`` are started as processes of their own, and ended."""

import asyncio
import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

from live_nexus import AGENT_SECRET, DEADLINE_S, Admin

EXAMPLES = Path(__file__).parents[2] / "examples"
START_S = 30.0
"""Seconds that an example may take to be there: LangGraph alone imports for a while."""

_OURS = ("OBLIVION_", "ANTHROPIC_", "OPENAI_", "LANGSMITH_", "LANGCHAIN_", "CODE_REVIEW_")


def environment(**given: str) -> dict[str, str]:
    """Return this environment without what would steer an example, and with what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", **given}


def credentials(url: str, client_id: str, secret: str = AGENT_SECRET) -> dict[str, str]:
    """Return the variables that :meth:`OblivionClient.from_env` reads."""
    return {
        "OBLIVION_NEXUS_URL": url,
        "OBLIVION_CLIENT_ID": client_id,
        "OBLIVION_CLIENT_SECRET": secret,
    }


def load_example(name: str) -> ModuleType:
    """Return an example as a module, to look at its parts."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


async def run_to_its_end(name: str, **variables: str) -> tuple[int, str]:
    """Run an example that is expected to end by itself; return its exit code and its output."""
    process = _start(name, variables, subprocess.PIPE)
    try:
        output, _ = await asyncio.to_thread(process.communicate, timeout=START_S)
    finally:
        process.kill()
    return process.returncode, output.decode()


def _start(name: str, variables: dict[str, str], output: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        env=environment(**variables),
        stdout=output,
        stderr=subprocess.STDOUT,
    )


class ExampleProcess:
    """An example at work."""

    def __init__(self, name: str, log: Path, variables: dict[str, str]) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = _start(name, variables, output)

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(encoding="utf-8")

    async def connected(self, admin: Admin, client_id: str) -> None:
        """Wait until Nexus sees the agent."""
        async with asyncio.timeout(START_S):
            while not (await admin.get(f"/observer/agents/{client_id}"))["isConnected"]:
                assert self._process.poll() is None, self.output
                await asyncio.sleep(0.05)

    async def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        self._process.send_signal(number)
        return await asyncio.to_thread(self._process.wait, DEADLINE_S)

    async def kill(self) -> None:
        """End it without warning, if it still runs."""
        self._process.kill()
        await asyncio.to_thread(self._process.wait, DEADLINE_S)


async def employ(
    name: str, admin: Admin, team: str, folder: Path, **variables: str
) -> ExampleProcess:
    """Make a team (group, project and agent of that name) and start an example as its agent."""
    await admin.team(team)
    await admin.agent(team, groups=(team,))
    url = str(admin.http.base_url).rstrip("/")
    process = ExampleProcess(name, folder / f"{team}.log", {**credentials(url, team), **variables})
    try:
        await process.connected(admin, team)
    except BaseException:
        await process.kill()
        raise
    return process


@contextlib.asynccontextmanager
async def working_example(
    name: str, admin: Admin, team: str, folder: Path, **variables: str
) -> AsyncIterator[ExampleProcess]:
    """Have an example at work, in a team of its own, until the block ends."""
    process = await employ(name, admin, team, folder, **variables)
    try:
        yield process
    finally:
        await process.kill()


async def thread_of(admin: Admin, task: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages of a task's thread."""
    page = await admin.get(f"/tasks/{task['id']}/slack-thread", limit=200)
    messages: list[dict[str, Any]] = page["messages"]
    return messages


async def words_of(admin: Admin, task: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages of a task's thread but for the one that shows how far the work is."""
    return [one for one in await thread_of(admin, task) if one["kind"] != "progress"]


async def said_in(admin: Admin, task: dict[str, Any], part: str) -> str:
    """Return the first message in a task's thread that has ``part``, once it is there."""
    messages: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                messages = await thread_of(admin, task)
                found = [m["text"] for m in messages if part in m["text"] and not m["isHuman"]]
                if found:
                    return str(found[0])
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"nobody said {part!r}: {messages}") from None
