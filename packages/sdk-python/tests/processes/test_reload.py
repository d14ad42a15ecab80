"""How ``oblivion run --reload`` follows the author's changes."""

import signal
import subprocess
import sys
from pathlib import Path

from agent_program import AgentProgram, oblivion
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
