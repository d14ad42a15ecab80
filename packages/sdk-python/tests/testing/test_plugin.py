"""How an author gets the fixtures: by installing ``oblivion-sdk[testing]``, and nothing else."""

import subprocess
import sys
from pathlib import Path

AGENT = """
from oblivion import OblivionClient

client = OblivionClient("http://localhost:3000", "my-agent", "secret")


@client.on_task_assigned
async def work(task):
    return {"words": len(task.description.split())}
"""

TEST = """
import pytest
from agent import client


@pytest.mark.asyncio
async def test_words_are_counted(nexus, clock):
    async with nexus.agent(client):
        task = await nexus.assign("Count", description="one two three")
        await clock.advance(1)
        done = await nexus.expect_status(task, "DONE")
    assert done.result == {"words": 3}


def test_what_uses_no_fixture_loads_no_network():
    import sys
    assert "oblivion_pytest" in sys.modules
"""


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "agent.py").write_text(AGENT)
    (folder / "test_agent.py").write_text(TEST)
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(
        command, check=False, cwd=folder, capture_output=True, text=True, timeout=50
    )


def test_the_fixtures_are_there_by_themselves(tmp_path: Path) -> None:
    ran = run(tmp_path)
    assert ran.returncode == 0, ran.stdout
    assert "2 passed" in ran.stdout


def test_without_pytest_asyncio_the_fixtures_say_what_they_need(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_it(nexus):\n    pass\n")
    code = (
        "import sys, importlib.util as u; real = u.find_spec;"
        "u.find_spec = lambda n, *a: None if n == 'pytest_asyncio' else real(n, *a);"
        "import pytest; sys.exit(pytest.main(['-q', '-p', 'no:asyncio', 'test_other.py']))"
    )
    command = [sys.executable, "-c", code]
    ran = subprocess.run(
        command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=50
    )
    assert "install oblivion-sdk[testing]" in ran.stdout


def test_the_plugin_alone_does_not_load_the_sdk() -> None:
    code = "import sys, oblivion_pytest; print('oblivion' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
