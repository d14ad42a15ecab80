"""MCP servers as tools of a real Nexus: strangers' from PyPI and npm, one of the tests' own."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from eventually import eventually
from free_port import free_port
from live_nexus import LiveNexus, live_nexus, nexus_process
from nexus.settings import SettingsError
from npm_packages import fetched, node
from oblivion import OblivionClient

FILESYSTEM = "@modelcontextprotocol/server-filesystem@2026.8.31"
PROGRAM = Path(__file__).parents[1] / "support" / "mcp_program.py"
TOKEN = "sesame-open-please"


def settings(journal: Path) -> str:
    """Return a ``nexus.toml`` with the tests' own server."""
    return f"""
[tools.mine]
command = ["{sys.executable}", "{PROGRAM}", "{journal}"]
env = {{ TESTS_TOKEN = "${{MINE_TOKEN}}" }}
idempotent = ["add"]

[[tool_rules]]
tools = ["mine.*", "time.*", "broken.*", "remote.*"]
timeout_seconds = 20
"""


@contextlib.asynccontextmanager
async def nexus_with(folder: Path, toml: str) -> AsyncIterator[LiveNexus]:
    config = folder / "nexus.toml"
    config.write_text(toml)
    async with live_nexus(folder / "data", config=config) as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("asker")
        yield nexus


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE_TOKEN", TOKEN)
    monkeypatch.setenv("A_SECRET_OF_NEXUS", "nobody's business")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
async def nexus(tmp_path: Path, journal: Path) -> AsyncIterator[LiveNexus]:
    async with nexus_with(tmp_path, settings(journal)) as nexus:
        yield nexus


def asker(nexus: LiveNexus) -> OblivionClient:
    return OblivionClient(**nexus.agent_settings("asker"), reconnect_delay=0.05)


async def there(client: OblivionClient, tool: str) -> None:
    """Wait until a tool is up."""

    async def listed() -> bool:
        return any(one.tool == tool for one in await client.list_tools())

    await eventually(listed, what=f"the tool {tool} is up")


async def test_somebody_elses_server_works_by_three_lines_of_configuration(tmp_path: Path) -> None:
    toml = f"""
[tools.time]
command = ["{sys.executable}", "-m", "mcp_server_time"]

[[tool_rules]]
tools = ["time.*"]
"""
    async with nexus_with(tmp_path, toml) as nexus, asker(nexus) as client:
        await there(client, "time")
        tools = {tool.action: tool for tool in await client.list_tools()}
        assert "timezone" in tools["get_current_time"].input_schema["properties"]
        wish = {
            "source_timezone": "Europe/Berlin",
            "target_timezone": "UTC",
            "time": "12:00",
        }
        result = await client.request_tool("time", "convert_time", wish)
        assert (result.success, result.untrusted) == (True, True)
        assert result.data["target"]["timezone"] == "UTC"
        wrong = await client.request_tool("time", "convert_time", {"time": 12})
        assert (wrong.success, wrong.code) == (False, "invalid_params")
        nowhere = await client.request_tool("time", "get_current_time", {"timezone": "Nowhere"})
        assert (nowhere.success, nowhere.code) == (False, "tool_failed")


@pytest.mark.timeout(180)  # the first time, npm fetches it
async def test_a_server_from_npm_works_by_configuration_alone(tmp_path: Path) -> None:
    """The server itself keeps to the folder that it is started with."""
    program = await asyncio.to_thread(fetched, FILESYSTEM)
    files = tmp_path / "files"
    files.mkdir()
    (files / "notes.txt").write_text("some notes\n")
    script = program / "@modelcontextprotocol/server-filesystem/dist/index.js"
    toml = f"""
[tools.files]
command = {json.dumps([node(), str(script), str(files)])}

[[tool_rules]]
tools = ["files.read_*", "files.write_file"]
"""
    async with nexus_with(tmp_path, toml) as nexus, asker(nexus) as client:
        await there(client, "files")

        async def ask(action: str, name: str | Path, **more: str) -> Any:
            params = {"path": str(files / name), **more}
            return await client.request_tool("files", action, params, timeout=20)

        assert (await ask("read_text_file", "notes.txt")).data == {"content": "some notes\n"}
        assert (await ask("write_file", "new.txt", content="new")).success
        assert (files / "new.txt").read_text() == "new"
        outside = await ask("read_text_file", tmp_path / "nexus.toml")
        assert (outside.code, "outside allowed directories" in outside.error) == (
            "tool_failed",
            True,
        )
        assert (await ask("list_directory", "")).code == "not_allowed"


async def test_what_a_server_does_becomes_a_result_or_a_readable_error(
    nexus: LiveNexus, journal: Path
) -> None:
    async with asker(nexus) as client:
        await there(client, "mine")

        async def ask(action: str, **params: Any) -> Any:
            return await client.request_tool("mine", action, params, timeout=20)

        assert (await ask("add", a=1, b=2)).data == {"result": 3}
        picture = await ask("picture")
        assert picture.code == "result_refused"
        assert picture.error == "the tool returned image, and agents are sent text alone"
        flood = await ask("flood", size=10_000_000)
        assert flood.code == "result_too_large"
        assert (await ask("fail")).code == "tool_failed"
        hung = await client.request_tool("mine", "hang", {}, timeout=0.5)
        assert hung.code == "timed_out"
        assert (await ask("add", a=2, b=2)).data == {"result": 4}, "a call that hangs holds up none"


async def test_a_server_gets_its_own_secrets_alone_and_cannot_tell_them(nexus: LiveNexus) -> None:
    async with asker(nexus) as client:
        await there(client, "mine")
        told = await client.request_tool("mine", "tell_all", timeout=20)
        assert told.data == {"result": "my token is [redacted]"}
        names = (await client.request_tool("mine", "environment", timeout=20)).data["result"]
        assert "TESTS_TOKEN" in names
        assert "A_SECRET_OF_NEXUS" not in names
    shown = [
        await nexus.admin.get(path)
        for path in ("/observer/tools", "/observer/tools/calls", "/observer/audit")
    ]
    assert TOKEN not in str(shown)


async def test_a_server_that_dies_in_a_call_is_told_of_and_started_again(
    nexus: LiveNexus, journal: Path
) -> None:
    async with asker(nexus) as client:
        await there(client, "mine")
        before = (await client.request_tool("mine", "process", timeout=20)).data["result"]
        died = await client.request_tool("mine", "die", {"name": "once"}, timeout=20)
        assert (died.success, died.code) == (False, "outcome_unknown")
        assert journal.read_text().split() == ["once"]
        after: list[Any] = []

        async def again() -> bool:
            after[:] = [(await client.request_tool("mine", "process", timeout=20)).data]
            return after[0] is not None

        await eventually(again, what="the server is back")
        assert after[0]["result"] != before


async def test_a_server_that_is_killed_while_idle_is_started_again(nexus: LiveNexus) -> None:
    async with asker(nexus) as client:
        await there(client, "mine")
        before = (await client.request_tool("mine", "process", timeout=20)).data["result"]
        os.kill(before, signal.SIGKILL)

        async def again() -> bool:
            now = (await client.request_tool("mine", "process", timeout=20)).data
            return now is not None and now["result"] != before

        await eventually(again, what="another server is up")


async def test_a_server_that_cannot_be_started_leaves_the_others_alone(
    tmp_path: Path, journal: Path
) -> None:
    toml = settings(journal) + '\n[tools.broken]\ncommand = ["no-such-program-anywhere"]\n'
    async with nexus_with(tmp_path, toml) as nexus, asker(nexus) as client:
        await there(client, "mine")
        tools = {tool["name"]: tool for tool in (await nexus.admin.get("/observer/tools"))["items"]}
        assert "No such file or directory" in tools["broken"]["problem"]
        result = await client.request_tool("broken", "anything", timeout=20)
        assert (result.success, result.code) == (False, "tool_unavailable")
        assert (await client.request_tool("mine", "add", {"a": 1, "b": 1}, timeout=20)).success


async def test_a_server_ends_with_nexus(tmp_path: Path, journal: Path) -> None:
    async with nexus_with(tmp_path, settings(journal)) as nexus, asker(nexus) as client:
        await there(client, "mine")
        pid = (await client.request_tool("mine", "process", timeout=20)).data["result"]

    async def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    await eventually(gone, what="the server's process is gone")


async def test_a_server_is_reached_over_streamable_http(tmp_path: Path, journal: Path) -> None:
    port = free_port()
    server = await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, str(journal), "http", str(port)
    )
    toml = settings(journal) + f'\n[tools.remote]\nurl = "http://127.0.0.1:{port}/mcp"\n'
    try:
        async with nexus_with(tmp_path, toml) as nexus, asker(nexus) as client:
            await there(client, "remote")
            result = await client.request_tool("remote", "add", {"a": 20, "b": 22}, timeout=20)
            assert result.data == {"result": 42}
    finally:
        server.kill()
        await server.wait()


async def test_a_call_that_was_at_work_when_nexus_was_killed_has_one_effect_and_one_answer(
    tmp_path: Path, journal: Path
) -> None:
    (tmp_path / "nexus.toml").write_text(settings(journal))
    environment = {"NEXUS_CONFIG": str(tmp_path / "nexus.toml"), "MINE_TOKEN": TOKEN}
    from live_nexus import AGENT_SECRET, Admin

    async with nexus_process(tmp_path / "data", free_port(), **environment) as process:
        async with Admin(process.url) as admin:
            await admin.team()
            await admin.agent("asker")
        client = OblivionClient(
            nexus_url=process.url,
            client_id="asker",
            client_secret=AGENT_SECRET,
            reconnect_delay=0.1,
        )
        async with client:
            await there(client, "mine")
            wish = {"name": "only-once"}
            asking = asyncio.ensure_future(client.request_tool("mine", "hang", wish, timeout=20))

            async def begun() -> bool:
                return journal.exists() and "only-once" in journal.read_text()

            await eventually(begun, what="the tool is at work")
            await process.kill()
            await process.start()
            result = await asyncio.wait_for(asking, 20)
            assert (result.success, result.code) == (False, "outcome_unknown")
            await there(client, "mine")
            assert journal.read_text().split() == ["only-once"]
        async with httpx2.AsyncClient() as http:
            metrics = (await http.get(f"{process.url}/metrics")).text
        counted = 'nexus_tool_calls_total{action="hang",outcome="outcome_unknown",tool="mine"} 1.0'
        assert counted in metrics, "also what ended with the process before"


async def test_a_variable_that_is_missing_keeps_nexus_from_starting(
    tmp_path: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINE_TOKEN")
    with pytest.raises(SettingsError, match="setting tools: the variable MINE_TOKEN is not set"):
        async with nexus_with(tmp_path, settings(journal)):
            pass


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[tools.x]\n", "either a command or a url"),
        ('[tools.x]\ncommand = ["a"]\nurl = "http://b"\n', "either a command or a url"),
        ('[tools.x]\nurl = "ftp://b"\n', "url must begin with http"),
        ('[tools.x]\ncomand = ["a"]\n', "comand"),
        ('[tools."x y"]\ncommand = ["a"]\n', "tools"),
        ("[[tool_rules]]\ntool = []\n", "tool_rules"),
        ('[[tool_rules]]\ntools = ["*"]\nper_minut = 3\n', "per_minut"),
    ],
)
async def test_settings_that_say_nonsense_are_refused_by_name(
    tmp_path: Path, toml: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        async with nexus_with(tmp_path, toml):
            pass
