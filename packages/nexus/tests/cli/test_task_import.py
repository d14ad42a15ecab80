"""Importing a file of tasks into a real server: whole, once, and again after an interruption."""

import json
import threading
from pathlib import Path

import pytest

from command_line import CommandLine, ServerProcess, Team
from scripted_peer import Answer, Request, forwarding, peer

ROWS = 30


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A CSV file with thirty tasks."""
    path = tmp_path / "tasks.csv"
    path.write_text("title,priority\n" + "".join(f"Task {n},{n % 4 + 1}\n" for n in range(ROWS)))
    return path


def titles(nexus: CommandLine, team: Team) -> list[str]:
    listed = nexus("tasks", "list", "--project", team.project, "--limit", "1000", "--json").json
    return sorted(task["title"] for task in listed["items"])


WHOLE = sorted(f"Task {n}" for n in range(ROWS))


def is_task_post(request: Request) -> bool:
    return request.method == "POST" and request.path == "/observer/tasks"


def test_every_row_becomes_a_task_and_the_same_file_again_makes_none(
    nexus: CommandLine, team: Team, file: Path
) -> None:
    first = nexus("tasks", "import", str(file), "--project", team.project)
    assert (first.code, first.out) == (0, f"imported {ROWS} tasks\n")
    again = nexus("tasks", "import", str(file), "--project", team.project)
    assert again.out == f"imported 0 tasks; there already: {ROWS}\n"
    assert titles(nexus, team) == WHOLE


def test_the_json_answer_says_which_line_became_which_task(
    nexus: CommandLine, team: Team, file: Path
) -> None:
    said = nexus("tasks", "import", str(file), "--project", team.project, "--json").json
    assert (said["imported"], said["alreadyThere"]) == (ROWS, 0)
    assert [task["line"] for task in said["items"]] == list(range(2, ROWS + 2))
    assert said["items"][3]["title"] == "Task 3"


def test_progress_is_shown_on_a_terminal_and_gone_at_the_end(
    nexus: CommandLine, team: Team, file: Path
) -> None:
    shown = nexus.on_terminal("tasks", "import", str(file), "--project", team.project)
    assert "importing" in shown
    assert shown.rstrip().endswith(f"imported {ROWS} tasks")


def test_a_task_whose_answer_got_lost_is_there_once(
    nexus: CommandLine, team: Team, file: Path, server: ServerProcess
) -> None:
    forward = forwarding(server.url)
    posts = 0

    def lose_one(request: Request) -> Answer | None:
        nonlocal posts
        answer = forward(request)
        posts += is_task_post(request)
        return None if is_task_post(request) and posts == 10 else answer

    with peer(lose_one) as proxy:
        done = nexus("tasks", "import", str(file), "--project", team.project, "--url", proxy.url)
    assert done.code == 0, done.err
    assert titles(nexus, team) == WHOLE


def test_an_import_that_lost_the_server_goes_on_when_it_is_run_again(
    nexus: CommandLine, team: Team, file: Path, server: ServerProcess
) -> None:
    forward = forwarding(server.url)
    posts = 0

    def die_at_the_tenth(request: Request) -> Answer | None:
        nonlocal posts
        posts += is_task_post(request)
        return None if posts >= 10 else forward(request)

    arguments = ("tasks", "import", str(file), "--project", team.project)
    with peer(die_at_the_tenth) as proxy:
        lost = nexus(*arguments, "--url", proxy.url)
    assert lost.code == 3
    assert "line 11: " in lost.err
    assert f"9 of {ROWS} tasks are in, run the same command again to go on" in lost.err
    rest = nexus(*arguments, "--json").json
    assert (rest["imported"], rest["alreadyThere"]) == (ROWS - 9, 9)
    assert titles(nexus, team) == WHOLE


def test_ctrl_c_ends_an_import_with_what_is_in_and_how_to_go_on(
    nexus: CommandLine, team: Team, file: Path, server: ServerProcess
) -> None:
    forward, held, release = forwarding(server.url), threading.Event(), threading.Event()
    posts = 0

    def hold_the_fifth(request: Request) -> Answer | None:
        nonlocal posts
        posts += is_task_post(request)
        if posts >= 5:
            held.set()
            release.wait(10)
            return None
        return forward(request)

    with peer(hold_the_fifth) as proxy:
        arguments = ("tasks", "import", str(file), "--project", team.project, "--url", proxy.url)
        with nexus.running(*arguments) as process:
            assert held.wait(10)
            ended = process.interrupt()
        release.set()
    assert ended.code == 130
    assert ended.err.strip() == (
        f"nexus: interrupted; 4 of {ROWS} tasks are in, run the same command again to go on"
    )
    assert nexus("tasks", "import", str(file), "--project", team.project).code == 0
    assert titles(nexus, team) == WHOLE


def test_one_bad_row_keeps_the_whole_file_out(nexus: CommandLine, team: Team, file: Path) -> None:
    with file.open("a") as rows:
        rows.write("Bad,9\n")
    refused = nexus("tasks", "import", str(file), "--project", team.project)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.splitlines() == [
        f"{file}:{ROWS + 2}: priority: Input should be less than or equal to 4",
        f"nexus: 1 mistake in {file}; nothing was sent",
    ]
    assert titles(nexus, team) == []


def test_a_file_full_of_mistakes_shows_the_first_twenty(nexus: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("title,priority\n" + "x,9\n" * 30)
    refused = nexus("tasks", "import", "bad.csv", "--project", "any")
    assert len(refused.err.splitlines()) == 21
    assert "30 mistakes, 20 of them shown in bad.csv" in refused.err


def test_an_unknown_or_archived_project_keeps_the_whole_file_out(
    nexus: CommandLine, team: Team, file: Path
) -> None:
    with file.open("a") as rows:
        rows.write("Last,1\n")
    unknown = nexus("tasks", "import", str(file), "--project", "nowhere")
    assert unknown.code == 1
    assert "line 2: there is no project nowhere; nothing was sent" in unknown.err
    nexus("projects", "archive", team.project)
    archived = nexus("tasks", "import", str(file), "--project", team.project)
    assert archived.code == 1
    assert "is archived; nothing was sent" in archived.err


def test_a_check_sends_nothing(nexus: CommandLine, team: Team, file: Path) -> None:
    checked = nexus("tasks", "import", str(file), "--project", team.project, "--check")
    assert (checked.code, checked.out) == (0, f"{file} is good: {ROWS} tasks\n")
    assert titles(nexus, team) == []


def test_rows_can_name_their_projects_and_come_by_standard_input(
    nexus: CommandLine, team: Team
) -> None:
    rows = "\n".join(json.dumps({"title": t, "project": team.project}) for t in ("One", "Two"))
    done = nexus("tasks", "import", "-", "--format", "ndjson", stdin=rows)
    assert (done.code, done.out) == (0, "imported 2 tasks\n")
    assert titles(nexus, team) == ["One", "Two"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("tasks.yaml", b"", "say --format json, ndjson or csv"),
        ("missing.csv", None, "cannot read it: No such file or directory"),
        ("empty.csv", b"", "there is no task in empty.csv"),
        ("empty.json", b"[]", "there is no task in empty.json"),
        ("latin.csv", b"title\nGr\xfcn\n", "latin.csv: line 2 is not UTF-8"),
        ("folder.csv/x.csv", None, "cannot read it: No such file"),
    ],
)
def test_a_file_that_cannot_be_used_is_explained_in_one_line(
    nexus: CommandLine, tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused = nexus("tasks", "import", name, "--project", "any")
    assert (refused.code, refused.out) == (2, "")
    assert says in refused.err
    assert refused.err.count("\n") == 1
