"""MCP servers that hang, die, flood and lie: each call ends readably, and Nexus stays as it was."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from eventually import eventually
from mcp_rogue_web import rogue_web
from nexus.domain.tool_settings import ToolSettings, Variables
from nexus.tools.configured import configured
from nexus.tools.filling import as_they_are
from nexus.tools.lines import ENDS, Lines, TooLong
from nexus.tools.mcp_server import McpServer
from nexus.tools.provider import Provider, ToolError

ROGUE = Path(__file__).parents[1] / "support" / "mcp_rogue.py"
MIB = 1024 * 1024


def provider(tool: ToolSettings) -> Provider:
    """Return a tool that needs no secret."""
    return configured({"rogue": tool}, Variables({}), lambda _: as_they_are)["rogue"].provider


@contextlib.asynccontextmanager
async def living(**settings: Any) -> AsyncIterator[McpServer]:
    """Have a server run as Nexus runs it."""
    server = provider(ToolSettings(**settings))
    assert isinstance(server, McpServer)
    run = asyncio.create_task(server.run())
    try:
        await up(server)
        yield server
    finally:
        run.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await run


async def up(server: McpServer) -> None:
    async def listed() -> bool:
        try:
            return bool(await server.list_tools())
        except ToolError:
            return False

    await eventually(listed, what="the server is up")


@pytest.fixture
async def rogue() -> AsyncIterator[McpServer]:
    command = [sys.executable, str(ROGUE)]
    async with living(command=command, env={"TOKEN": "sesame-open-please"}) as server:
        yield server


async def failure(server: McpServer, action: str, timeout: float = 30) -> ToolError:
    with pytest.raises(ToolError) as caught:
        await server.call(action, {}, timeout)
    return caught.value


@pytest.mark.parametrize("action", ["endless", "notices", "requests"])
async def test_a_server_that_floods_takes_no_memory_and_is_started_again(
    rogue: McpServer, action: str
) -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    error = await failure(rogue, action)
    assert error.code == "outcome_unknown"
    assert error.message == "the MCP server was lost during the call; its outcome is not known"
    assert process.memory_info().rss - before < 48 * MIB
    with pytest.raises(ToolError, match="it writes without end, and answers nothing"):
        await rogue.list_tools()
    await up(rogue)
    assert await rogue.call("fine", {}, 10) == "fine"


@pytest.mark.parametrize("action", ["large", "large_and_last"])
async def test_an_answer_that_is_too_large_fails_its_own_call_alone(
    rogue: McpServer, action: str
) -> None:
    beside = asyncio.ensure_future(rogue.call("fine", {}, 20))
    error = await failure(rogue, action)
    assert error.code == "result_too_large"
    assert error.message == "the MCP server's answer is larger than 4194304 bytes"
    assert await beside == "fine"
    assert await rogue.call("fine", {}, 10) == "fine", "the server lives on"


async def test_what_is_no_message_is_passed_over_and_never_logged(
    rogue: McpServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert await rogue.call("garbage", {}, 10) == "well"

    async def complained() -> bool:
        return "my token is [redacted]" in caplog.text

    await eventually(complained, what="what it complains of is in the log")
    assert "sesame" not in caplog.text


async def test_what_is_no_result_is_told_without_repeating_it(
    rogue: McpServer, caplog: pytest.LogCaptureFixture
) -> None:
    error = await failure(rogue, "wrong")
    assert error.code == "result_refused"
    assert "what is no result of a tool" in error.message
    assert "sesame" not in error.message + caplog.text


async def test_a_server_that_ends_is_told_of_with_how_it_ended(rogue: McpServer) -> None:
    assert (await failure(rogue, "die")).code == "outcome_unknown"
    with pytest.raises(ToolError, match="it ended with exit status 3") as caught:
        await rogue.list_tools()
    assert caught.value.code == "tool_unavailable"
    await up(rogue)


async def test_a_server_that_hangs_is_left_alone_at_work_and_else_started_again(
    rogue: McpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus.tools.mcp_server._LIST_S", 0.3)
    known = await rogue.list_tools()
    call = asyncio.ensure_future(failure(rogue, "hang", 3))
    await asyncio.sleep(0)
    assert await rogue.list_tools() == known, "who is busy need not say what it can do"
    assert (await call).code == "timed_out"
    with pytest.raises(ToolError, match="it does not answer in time"):
        await rogue.list_tools()
    await up(rogue)


async def test_a_program_that_ends_at_once_says_so_where_people_look() -> None:
    command = [sys.executable, "-c", "raise SystemExit(7)"]
    server = provider(ToolSettings(command=command))
    run = asyncio.create_task(server.run())

    async def told() -> bool:
        try:
            await server.list_tools()
        except ToolError as error:
            return "cannot be reached: it ended with exit status 7" in error.message
        return False

    await eventually(told, what="the exit status is told")
    run.cancel()
    await asyncio.wait({run})


async def test_what_a_server_started_ends_with_it(tmp_path: Path) -> None:
    """A program with a child that would outlive it, and that does not end when it is asked to."""
    note = tmp_path / "pids"
    script = (
        "import os, signal, subprocess, sys, runpy\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(999)'])\n"
        f"open({str(note)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"sys.argv = ['x']\n"
        f"runpy.run_path({str(ROGUE)!r}, run_name='__main__')\n"
        "import time; time.sleep(999)\n"
    )
    async with living(command=[sys.executable, "-c", script]):
        pids = [int(pid) for pid in note.read_text().split()]
        assert all(psutil.pid_exists(pid) for pid in pids)

    async def gone() -> bool:
        return not any(
            psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
            for pid in pids
        )

    await eventually(gone, what="both processes are gone")


@pytest.fixture
async def distant() -> AsyncIterator[McpServer]:
    async with rogue_web() as url, living(url=url) as server:
        yield server


@pytest.mark.parametrize(
    ("action", "code", "said"),
    [
        ("large", "result_too_large", "the MCP server's answer is larger than 4194304 bytes"),
        ("endless", "result_too_large", "the MCP server's answer is larger than 4194304 bytes"),
        ("events", "result_too_large", "the MCP server's answer is larger than 4194304 bytes"),
        ("notices", "result_too_large", "the MCP server's answer is larger than 4194304 bytes"),
        ("bomb", "tool_failed", "is packed, though it was asked not to be"),
        ("elsewhere", "tool_failed", "not followed"),
        ("page", "tool_failed", "Unexpected content type: text/html"),
        ("broken", "result_refused", "the MCP server answered with what is no message"),
        ("fail", "tool_failed", "Server returned an error response"),
        ("cut", "outcome_unknown", "its outcome is not known"),
    ],
)
async def test_whatever_is_answered_over_http_ends_its_own_call_readably(
    distant: McpServer, caplog: pytest.LogCaptureFixture, action: str, code: str, said: str
) -> None:
    before = psutil.Process().memory_info().rss
    error = await failure(distant, action)
    assert (error.code, said in error.message) == (code, True), error.message
    assert "sesame" not in error.message
    assert psutil.Process().memory_info().rss - before < 96 * MIB
    await up(distant)
    assert await distant.call("fine", {}, 10) == "fine"


def test_lines_are_whole_however_they_are_cut() -> None:
    lines = Lines(longest=1000)
    text = b"one\n\ntwo " + b"y" * 900 + b"\n" + b"h" * 300 + b"z" * 5000 + b"t" * 300 + b"\nend\n"
    for size in (1, 7, 64, 5000, 10_000):
        found = [
            line for at in range(0, len(text), size) for line in lines.feed(text[at : at + size])
        ]
        assert found[:3] == [b"one", b"", b"two " + b"y" * 900]
        assert isinstance(found[3], TooLong)
        assert (found[3].head, found[3].tail) == (b"h" * ENDS, b"t" * ENDS)
        assert found[4:] == [b"end"]
