"""The commands for tasks and their threads, against a real server."""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from command_line import CommandLine, ServerProcess, Team


def create(nexus: CommandLine, team: Team, title: str = "Fix it", *more: str) -> dict[str, Any]:
    made = nexus("tasks", "create", title, "--project", team.project, "--json", *more)
    assert made.code == 0, made.err
    task: dict[str, Any] = made.json
    return task


@contextlib.contextmanager
def as_agent(server: ServerProcess, team: Team) -> Iterator[httpx2.Client]:
    """An HTTP client with the token of the team's agent."""
    credentials = {"client_id": team.agent, "client_secret": team.secret}
    with httpx2.Client(base_url=server.url) as http:
        token = http.post("/auth/token", json=credentials).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield http


def finish(server: ServerProcess, team: Team, task_id: str, **status: Any) -> None:
    """Claim a task as the team's agent and end it."""
    with as_agent(server, team) as http:
        assert http.post(f"/tasks/{task_id}/claim").is_success
        assert http.patch(f"/tasks/{task_id}/status", json={"status": "IN_PROGRESS"}).is_success
        ended = http.patch(f"/tasks/{task_id}/status", json=status)
        assert ended.is_success, ended.text


def test_every_option_of_a_new_task_is_kept(nexus: CommandLine, team: Team) -> None:
    task = create(
        *(nexus, team, "Fix the login", "--description", "It fails", "--priority", "1"),
        *("--capability", "python", "--capability", "ruff", "--max-attempts", "7"),
        *("--timeout", "60", "--metadata", '{"branch": "main"}'),
    )
    shown = nexus("tasks", "show", task["id"], "--json").json
    assert shown["title"] == "Fix the login"
    assert shown["description"] == "It fails"
    assert shown["priority"] == 1
    assert shown["requiredCapabilities"] == ["python", "ruff"]
    assert shown["maxAttempts"] == 7
    assert shown["metadata"] == {"branch": "main"}
    assert shown["thread"] == []


def test_a_long_description_can_come_by_standard_input(nexus: CommandLine, team: Team) -> None:
    made = nexus(
        *("tasks", "create", "Read this", "--project", team.project, "--description", "-"),
        stdin="Line one\nLine two ✅\n",
    )
    task_id = made.out.split()[0]
    shown = nexus("tasks", "show", task_id, "--json").json
    assert shown["description"] == "Line one\nLine two ✅"


def test_tasks_are_listed_newest_first_by_project_and_status(
    nexus: CommandLine, team: Team
) -> None:
    first, second = create(nexus, team, "First"), create(nexus, team, "Second")
    nexus("tasks", "cancel", first["id"])
    listed = nexus("tasks", "list", "--project", team.project, "--json").json["items"]
    assert [task["id"] for task in listed] == [second["id"], first["id"]]
    table = nexus("tasks", "list", "--project", team.project, "--status", "cancelled").out
    assert [line.split()[0] for line in table.splitlines()] == ["ID", first["id"]]


def test_who_holds_a_task_is_named(nexus: CommandLine, team: Team, server: ServerProcess) -> None:
    task = create(nexus, team)
    with as_agent(server, team) as http:
        http.post(f"/tasks/{task['id']}/claim").raise_for_status()
    row = nexus("tasks", "list", "--agent", team.agent).out.splitlines()[1]
    assert row.split()[:5] == [task["id"], "CLAIMED", "3", "normal", team.project]
    assert team.agent in row


def test_a_person_speaks_in_the_thread_and_reads_it(nexus: CommandLine, team: Team) -> None:
    task = create(nexus, team)
    assert nexus("tasks", "say", task["id"], "Use staging", "--author", "Ada").code == 0
    assert nexus("tasks", "say", task["id"], "-", stdin="Two\nlines\n").code == 0
    thread = nexus("tasks", "show", task["id"], "--json").json["thread"]
    said = [(message["username"], message["text"], message["isHuman"]) for message in thread]
    assert said == [("Ada", "Use staging", True), ("admin", "Two\nlines", True)]
    assert "Ada  Use staging" in nexus("tasks", "show", task["id"]).out


def test_a_long_thread_is_shown_whole(
    nexus: CommandLine, team: Team, server: ServerProcess
) -> None:
    task = create(nexus, team)
    with as_agent(server, team) as http:
        for number in range(205):
            reply = {"message": f"message {number}"}
            http.post(f"/tasks/{task['id']}/slack-reply", json=reply).raise_for_status()
    thread = nexus("tasks", "show", task["id"], "--json").json["thread"]
    assert [message["text"] for message in thread] == [f"message {n}" for n in range(205)]


def test_the_result_of_a_task_is_shown(
    nexus: CommandLine, team: Team, server: ServerProcess
) -> None:
    task = create(nexus, team)
    finish(server, team, task["id"], status="DONE", result={"issues": 0, "note": "✅ good"})
    page = nexus("tasks", "show", task["id"]).out
    assert "status    DONE" in page
    assert f"agent     {team.agent}" in page
    assert page.endswith('result\n{\n  "issues": 0,\n  "note": "✅ good"\n}\n')


def test_a_cancelled_task_can_be_retried(nexus: CommandLine, team: Team) -> None:
    task = create(nexus, team)
    cancelled = nexus("tasks", "cancel", task["id"], "--reason", "not needed")
    assert cancelled.out == f"{task['id']} is CANCELLED\n"
    assert nexus("tasks", "retry", task["id"], "--json").json["status"] == "TODO"


def test_a_finished_task_cannot_be_cancelled(
    nexus: CommandLine, team: Team, server: ServerProcess
) -> None:
    task = create(nexus, team)
    finish(server, team, task["id"], status="DONE")
    refused = nexus("tasks", "cancel", task["id"])
    assert refused.code == 1
    assert "DONE" in refused.err


def test_what_agents_write_cannot_steer_the_terminal(nexus: CommandLine, team: Team) -> None:
    task = create(nexus, team, "\x1b[31mred")
    nexus("tasks", "say", task["id"], "\x1b]0;owned\x07", "--author", "E\x1b[1mve")
    for arguments in (
        ("tasks", "list", "--project", team.project),
        ("tasks", "show", task["id"]),
        ("tail", "--since", "0", "--no-follow"),
    ):
        assert "\x1b" not in nexus(*arguments).out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("show", "nothing"), 1, "there is no task nothing"),
        (("cancel", "nothing"), 1, "there is no task nothing"),
        (("say", "nothing", "hello"), 1, "there is no task nothing"),
        (("create", "x", "--project", "nowhere"), 1, "there is no project nowhere"),
        (("create", "x", "--project", "p", "--priority", "5"), 2, "--priority"),
        (("create", "x", "--project", "p", "--metadata", "{"), 2, "--metadata is no JSON"),
        (("create", "x", "--project", "p", "--metadata", "[]"), 2, "must be a JSON object"),
        (("create", "x"), 2, "--project"),
        (("list", "--status", "lost"), 2, "status: "),
        (("list", "--limit", "0"), 2, "--limit"),
        (("list", "--agent", "nobody"), 1, "there is no agent nobody"),
        (("create", " ", "--project", "p"), 2, "title: "),
    ],
)
def test_refusals_are_one_line_with_an_exit_code(
    nexus: CommandLine, arguments: tuple[str, ...], code: int, says: str
) -> None:
    ended = nexus("tasks", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert says in ended.err
    assert ended.err.count("\n") == 1


def test_json_output_is_one_document_also_through_a_real_pipe(
    nexus: CommandLine, team: Team
) -> None:
    create(nexus, team)
    ended = nexus.process("tasks", "list", "--project", team.project, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out)["items"][0]["title"] == "Fix it"


def test_on_a_terminal_statuses_have_colours_and_tables_fit(nexus: CommandLine, team: Team) -> None:
    task = create(nexus, team, "A title that is far too long for a terminal " * 3)
    nexus("tasks", "cancel", task["id"])
    shown = nexus.on_terminal("tasks", "list", "--project", team.project)
    assert "\x1b[31mCANCELLED" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert all(len(line) <= 80 for line in plain.splitlines())
    assert task["id"] in plain
    assert "CANCELLED" in plain
    assert "…" not in plain


def test_a_terminal_without_unicode_shows_stand_ins(nexus: CommandLine, team: Team) -> None:
    create(nexus, team, "✅ done")
    shown = nexus.process("tasks", "list", "--project", team.project, PYTHONIOENCODING="ascii")
    assert shown.code == 0, shown.err
    assert "\\u2705 done" in shown.out
