"""Fixtures of the command line's tests: one real server for all of them, and a team for each."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import CommandLine, ServerProcess, Team

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real ``nexus serve`` on a free port with a data folder of its own."""
    process = ServerProcess(tmp_path_factory.mktemp("server") / "data")
    try:
        yield process.start()
    finally:
        process.close()


@pytest.fixture
def nexus(server: ServerProcess, tmp_path: Path) -> CommandLine:
    """The command line, as its user at that server."""
    return CommandLine(environment=server.environment, cwd=tmp_path)


@pytest.fixture
def team(nexus: CommandLine) -> Team:
    """A group with an agent and a claiming project."""
    return make_team(nexus)


def make_team(nexus: CommandLine) -> Team:
    """Make a group with an agent and a claiming project."""
    number = next(_numbers)
    names = Team(
        group=f"group-{number}",
        project=f"project-{number}",
        agent=f"agent-{number}",
        secret="a-long-secret",
    )
    for arguments in (
        ("groups", "create", names.group),
        ("projects", "create", names.project, "--group", names.group, "--policy", "claim"),
        ("agents", "create", names.agent, "--group", names.group, "--secret", names.secret),
    ):
        made = nexus(*arguments)
        assert made.code == 0, made.err
    return names
