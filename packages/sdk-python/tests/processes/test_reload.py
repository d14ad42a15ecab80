"""How ``oblivion run --reload`` follows the author's changes."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import watchfiles

from agent_program import AgentProgram, oblivion
from oblivion._cli import _reload
from oblivion.testing import FakeNexus

AGENT = """
import asyncio
from oblivion import OblivionClient
client = OblivionClient.from_env()

@client.on_task_assigned
async def work(task):
    print("at work")
    {work}
"""

SLOW = """
import pathlib, signal, sys, time

def end(*_):
    time.sleep(0.2)
    with open({ended!r}, "a") as file:
        file.write("ended ")
    sys.exit()

signal.signal(signal.SIGTERM, end)
pathlib.Path({began!r}).touch()
while True:
    signal.pause()
"""


async def change_until(agent: AgentProgram, path: Path, text: str, said: str) -> None:
    """Save a file again until the change is seen: its watcher may only just begin."""
    for _ in range(20):
        path.write_text(text)
        try:
            await agent.printed("agent.py changed", patience=2)
            break
        except TimeoutError:
            continue
    await agent.printed(said)


async def test_a_change_hands_work_back_to_the_new_code(tmp_path: Path) -> None:
    path = tmp_path / "agent.py"
    path.write_text(AGENT.format(work="await asyncio.sleep(600)"))
    async with FakeNexus() as nexus:
        given = nexus.environment("my-agent")
        arguments = ("run", "agent", "--reload", "--drain-timeout", "0.1")
        async with oblivion(*arguments, folder=tmp_path, variables=given) as agent:
            await agent.printed("event=connected")
            task = await nexus.assign("Work")
            await agent.printed("at work")
            await change_until(agent, path, AGENT.format(work="return 'new'"), "starting again")
            done = await nexus.expect_status(task, "DONE")
            assert done.result == "new"
            agent.send(signal.SIGTERM)
            assert await agent.ended() == 0, agent.output


async def test_a_mistake_waits_for_the_next_change(tmp_path: Path) -> None:
    path = tmp_path / "agent.py"
    path.write_text("this is no Python\n")
    async with FakeNexus() as nexus:
        given = nexus.environment("my-agent")
        async with oblivion("run", "agent", "--reload", folder=tmp_path, variables=given) as agent:
            await agent.printed("SyntaxError")
            await change_until(agent, path, AGENT.format(work="return 1"), "starting again")
            await agent.printed("event=connected")
            agent.send(signal.SIGTERM)
            assert await agent.ended() == 0, agent.output


@pytest.mark.skipif(sys.platform == "win32", reason="there a process is told otherwise to end")
def test_each_process_gets_its_drain_timeout_before_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, ended = tmp_path / "began", tmp_path / "ended"
    (tmp_path / "program.py").write_text(SLOW.format(began=str(began), ended=str(ended)))

    def one_change(*_: object, **__: object) -> Iterator[set[tuple[int, str]]]:
        yield {(2, "agent.py")} if wait_for(began) else set()
        wait_for(began)

    def wait_for(path: Path) -> bool:
        while not path.exists():
            time.sleep(0.01)
        path.unlink()
        return True

    monkeypatch.setattr(watchfiles, "watch", one_change)
    monkeypatch.setattr(_reload, "_PATIENCE_S", 0.0)
    before = signal.getsignal(signal.SIGTERM)
    try:
        _reload.run_reloading([sys.executable, str(tmp_path / "program.py")], drain_timeout=30)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.read_text() == "ended ended "


def test_without_its_library_reload_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['watchfiles'] = None;"
        "from oblivion._cli import main; sys.exit(main(['run', 'agent', '--reload']))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 2
    assert ran.stderr == 'oblivion: --reload needs watchfiles: install "oblivion-sdk[reload]"\n'


async def test_ctrl_c_ends_it_and_drains(tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text(AGENT.format(work="await asyncio.sleep(0.5)"))
    async with FakeNexus() as nexus:
        given = nexus.environment("my-agent")
        arguments = ("run", "agent", "--reload", "--drain-timeout", "5")
        async with oblivion(*arguments, folder=tmp_path, variables=given) as agent:
            await agent.printed("event=connected")
            task = await nexus.assign("Work")
            await agent.printed("at work")
            agent.send_to_group(signal.SIGINT)  # as a terminal does
            assert await agent.ended() == 0, agent.output
            assert nexus.task(task).status == "DONE"
