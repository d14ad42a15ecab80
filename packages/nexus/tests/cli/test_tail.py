"""Following what happens: live, through restarts of the server, until Ctrl-C."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import (
    CommandLine,
    Running,
    ServerProcess,
    Team,
    clean_environment,
    command_for,
    wait_until,
)


def said(text: str, process: Running) -> bool:
    return any(text in line for line in process.out)


def follows(process: Running, nexus: CommandLine, team: Team) -> None:
    """Return once ``process`` follows: what happens now is shown."""
    shown = 0

    def seen(running: Running) -> bool:
        nonlocal shown
        shown += 1
        nexus("tasks", "create", f"Is it there {shown}?", "--project", team.project)
        return said("Is it there", running)

    process.until(seen)


def test_what_happens_is_shown_as_it_happens_until_ctrl_c(nexus: CommandLine, team: Team) -> None:
    made = nexus("tasks", "create", "Before", "--project", team.project, "--json").json
    with nexus.running("tail") as process:
        follows(process, nexus, team)
        nexus("tasks", "say", made["id"], "Use staging", "--author", "Ada")
        process.until(lambda running: said("message posted      Ada", running))
        nexus("agents", "wake", team.agent)
        process.until(lambda running: said(f"agent woken         {team.agent}", running))
        ended = process.interrupt()
    assert (ended.code, ended.err) == (130, "")
    assert "Before: Use staging" in ended.out
    assert "task created        admin             Before" not in ended.out


def test_json_is_one_document_a_line_in_the_order_of_ids(nexus: CommandLine, team: Team) -> None:
    for number in range(3):
        nexus("tasks", "create", f"Task {number}", "--project", team.project)
    lines = nexus("tail", "--since", "0", "--no-follow", "--json").lines
    ids = [line["id"] for line in lines]
    assert ids == sorted(set(ids))
    assert [line["data"]["title"] for line in lines[-3:]] == ["Task 0", "Task 1", "Task 2"]
    since = nexus("tail", "--since", str(ids[-2]), "--no-follow", "--json").lines
    assert [line["id"] for line in since] == ids[-1:]


def test_without_since_there_is_nothing_to_show_at_first(nexus: CommandLine, team: Team) -> None:
    assert nexus("tail", "--no-follow").out == ""


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of this test's own, to be stopped; its admin has the same secret in every folder."""
    process = ServerProcess(tmp_path / "own")
    process.extra = {"NEXUS_ADMIN_CLIENT_SECRET": "the-same-everywhere"}
    try:
        yield process.start()
    finally:
        process.close()


def test_a_restart_of_the_server_loses_nothing_and_is_told_once(
    own_server: ServerProcess, tmp_path: Path
) -> None:
    nexus = CommandLine(environment=own_server.environment, cwd=tmp_path)
    nexus("groups", "create", "core")
    with nexus.running("tail", "--since", "0", "--json") as process:
        process.until(lambda running: said("core", running))
        assert own_server.stop().code == 0
        process.until(lambda running: any("lost the server" in line for line in running.err))
        own_server.start()
        assert nexus("groups", "create", "later").code == 0
        process.until(lambda running: said("later", running))
        ended = process.interrupt()
    assert ended.code == 130
    notes = ended.err.splitlines()
    assert [note[:23] for note in notes] == ["nexus: lost the server,", "nexus: the server is ba"]
    ids = [line["id"] for line in ended.lines]
    assert ids == sorted(set(ids))


def test_a_server_with_a_new_history_is_followed_from_its_beginning(
    own_server: ServerProcess, tmp_path: Path
) -> None:
    environment = {**own_server.environment, **own_server.extra}
    nexus = CommandLine(environment=environment, cwd=tmp_path)
    for number in range(5):
        nexus("groups", "create", f"old-{number}")
    with nexus.running("tail", "--since", "0") as process:
        process.until(lambda running: said("old-4", running))
        own_server.kill()
        own_server.data_dir = tmp_path / "new"
        own_server.start()
        nexus("groups", "create", "new")
        process.until(lambda running: said("new", running))
        assert process.interrupt().code == 130


def test_nothing_to_follow_is_said_at_once(nexus: CommandLine) -> None:
    gone = nexus("tail", "--url", "http://localhost:1")
    assert (gone.code, gone.out) == (3, "")
    assert "no Nexus answers at http://localhost:1" in gone.err


def test_a_reader_that_leaves_ends_the_command_quietly(nexus: CommandLine, team: Team) -> None:
    def noise() -> bool:
        return nexus("tasks", "create", "Noise", "--project", team.project).code == 0

    with subprocess.Popen(
        command_for(("tail", "--since", "0")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(**nexus.environment),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        wait_until(lambda: noise() and process.poll() is not None)
        assert process.stderr.read() == b""
