"""How ``oblivion run`` is used: it finds the agents, serves, drains, and ends with a code."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent_program import oblivion
from oblivion.testing import FakeNexus

AGENTS = """
import asyncio, os
from oblivion import OblivionClient

def make(client_id):
    client = OblivionClient(os.environ["NEXUS"], client_id, os.environ["SECRET_" + client_id])

    @client.on_connected
    async def there():
        print(f"{client_id} is there")

    @client.on_task_assigned
    async def work(task):
        print(f"{client_id} works")
        await asyncio.sleep(float(task.description or 0))
        return f"{client_id} did it"

    return client

ann, bob = make("ann"), make("bob")
both = [ann, bob]
client = ann
nothing = {}

def crew():
    return both
"""


@pytest.fixture
async def nexus(tmp_path: Path) -> AsyncIterator[FakeNexus]:
    """A Nexus, and two agents for it in the test's folder."""
    (tmp_path / "agents.py").write_text(AGENTS)
    async with FakeNexus() as nexus:
        yield nexus


def variables(nexus: FakeNexus) -> dict[str, str]:
    secrets = {f"SECRET_{who}": nexus.credentials(who)["client_secret"] for who in ("ann", "bob")}
    return {"NEXUS": nexus.url, **secrets}


@pytest.mark.parametrize("target", ["agents", "agents:client", "agents:ann"])
async def test_an_agent_serves_until_a_signal_and_drains(
    nexus: FakeNexus, tmp_path: Path, target: str
) -> None:
    async with oblivion("run", target, folder=tmp_path, variables=variables(nexus)) as agent:
        await agent.printed("ann is there")
        task = await nexus.assign("Work", description="0.3")
        await agent.printed("ann works")
        agent.send(signal.SIGTERM)
        assert await agent.ended() == 0, agent.output
        assert nexus.task(task).result == "ann did it"


@pytest.mark.parametrize(
    "targets", [("agents:both",), ("agents:crew",), ("agents:ann", "agents:bob")]
)
async def test_several_agents_share_a_process_and_drain_together(
    nexus: FakeNexus, tmp_path: Path, targets: tuple[str, ...]
) -> None:
    async with oblivion("run", *targets, folder=tmp_path, variables=variables(nexus)) as agents:
        await agents.printed("ann is there")
        await agents.printed("bob is there")
        tasks = [await nexus.assign("Work", description="0.3") for _ in range(2)]
        await agents.printed("ann works")
        await agents.printed("bob works")
        agents.send(signal.SIGINT)
        assert await agents.ended() == 0, agents.output
    assert {str(nexus.task(task).result) for task in tasks} == {"ann did it", "bob did it"}


async def test_what_does_not_end_in_time_is_handed_back(nexus: FakeNexus, tmp_path: Path) -> None:
    arguments = ("run", "agents", "--drain-timeout", "0.1")
    async with oblivion(*arguments, folder=tmp_path, variables=variables(nexus)) as agent:
        await agent.printed("ann is there")
        task = await nexus.assign("Work", description="600")
        await agent.printed("ann works")
        agent.send(signal.SIGTERM)
        assert await agent.ended() == 0, agent.output
        assert (nexus.task(task).status, nexus.task(task).error) == ("TODO", None)


async def test_an_agent_that_cannot_go_on_takes_the_others_along(
    nexus: FakeNexus, tmp_path: Path
) -> None:
    given = variables(nexus)
    async with (
        oblivion("run", "agents:both", folder=tmp_path, variables=given) as agents,
    ):
        await agents.printed("ann is there")
        await agents.printed("bob is there")
        tasks = [await nexus.assign("Work", description="0.3") for _ in range(2)]
        await agents.printed("ann works")
        await agents.printed("bob works")
        async with oblivion("run", "agents:ann", folder=tmp_path, variables=given) as newer:
            await newer.printed("ann is there")
            assert await agents.ended() == 1
            assert "event=agent_failed client_id=ann" in agents.output
            assert "oblivion: SessionSuperseded: a newer session" in agents.output
            assert "HTTP Request" not in agents.output, "of each request only DEBUG tells"
            assert "Traceback" not in agents.output
    assert "bob did it" in {nexus.task(task).result for task in tasks}


WRONG = [
    ("nowhere", 2, "there is no module nowhere here"),
    ("agents.py", 2, "name the module, not its file: agents:client"),
    ("agents:carol", 2, "agents:carol: there is no carol in the module"),
    ("agents:nothing", 2, "agents:nothing is a dict: name an OblivionClient, a list of them"),
    (":client", 2, "':client' does not name a client: write module:client"),
    ("agents:ann agents:ann", 2, "ann would run twice"),
    ("agents:both agents:bob", 2, "bob would run twice"),
    ("agents --livez-port 99999", 2, "livez_port must be from 0 to 65535"),
    ("agents --drain-timeout -1", 2, "drain_timeout must be a finite number at least 0"),
    ("broken", 1, "ZeroDivisionError"),
]


@pytest.mark.parametrize(("line", "code", "said"), WRONG, ids=[line for line, *_ in WRONG])
async def test_a_wrong_command_line_is_told_what_to_change(
    nexus: FakeNexus, tmp_path: Path, line: str, code: int, said: str
) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    arguments = ("run", *line.split())
    async with oblivion(*arguments, folder=tmp_path, variables=variables(nexus)) as agent:
        assert await agent.ended() == code
        assert said in agent.output
        assert ("Traceback" in agent.output) is (code == 1)


async def test_exit_codes_tell_a_supervisor_whether_to_try_again(
    nexus: FakeNexus, tmp_path: Path
) -> None:
    right = variables(nexus)
    for change, refusal, code, said in [
        ({"SECRET_ann": "wrong"}, None, 2, "AuthenticationFailed"),
        ({"NEXUS": "http://127.0.0.1:9"}, None, 3, "NexusUnreachable"),
        ({"NEXUS": "ftp://here"}, None, 2, "ConfigurationError: nexus_url must look like"),
        ({}, "agent_pending", 1, "AgentPending"),
        ({}, "agents_stopped", 3, "ConnectRefused"),
    ]:
        if refusal is not None:
            nexus.refuse_connections(refusal)
        given = {**right, **change}
        async with oblivion("run", "agents", folder=tmp_path, variables=given) as agent:
            assert await agent.ended() == code, agent.output
            assert said in agent.output


async def test_a_signal_while_the_code_loads_ends_without_complaint(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\nprint('loading')\ntime.sleep(600)\n")
    async with oblivion("run", "slow", folder=tmp_path) as agent:
        await agent.printed("loading")
        agent.send(signal.SIGTERM)
        assert (await agent.ended(), agent.output) == (0, "loading\n")
