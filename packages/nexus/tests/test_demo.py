"""``nexus demo`` shows real work to its end, and leaves nothing behind however it ends."""

import re
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from demo_process import demo_at_terminal, gone, running_demo
from nexus.demo import DemoFailed, checkout
from nexus.demo.board import Board, Entry, entry_of
from nexus.demo.closing import totals
from nexus.demo.screen import message
from oblivion.protocol import TaskStatus

pytestmark = pytest.mark.timeout(120)  # four processes each, and two CPUs shared with other tests


async def test_the_demo_shows_reviews_questions_and_answers_until_all_tasks_are_done(
    tmp_path: Path,
) -> None:
    async with running_demo(tmp_path) as demo:
        await demo.shows(" gets: ")
        actors, family = demo.actors(), demo.family()
        assert await demo.ends() == 0, demo.output
        assert await gone(family) == []
    shown = demo.output
    assert len(actors) == 3  # Nexus and two agents; these start ruff now and then
    assert re.search(r"- lines? \d+.*\(EM102\)", shown)
    assert "can be fixed automatically. Shall I show the diff? (yes/no)" in shown
    assert "Robin: Yes, please!" in shown
    assert "I changed nothing; I would:" in shown
    assert "asks: Which Python files shall I review?" in shown
    assert len(re.findall(r"^\d  .* DONE +\d+", shown, re.MULTILINE)) == 8
    assert re.search(r"8 of 8 tasks DONE in .* \d\d findings in 19 files, 2 questions", shown)
    assert "How to go on:" in shown
    assert "Traceback" not in shown
    assert demo.leftovers() == []


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("Starting Nexus", signal.SIGINT),
        ("Nexus answers at", signal.SIGTERM),
        (" asks: ", signal.SIGINT),
    ],
)
async def test_a_demo_that_is_stopped_leaves_no_process_and_no_folder(
    moment: str, number: signal.Signals, tmp_path: Path
) -> None:
    async with running_demo(tmp_path) as demo:
        await demo.shows(moment)
        family = demo.family()
        demo.send(number)
        assert await demo.ends() == 130
        assert await gone(family) == []
    assert family
    assert demo.output.endswith("nexus: the demo was interrupted; no process is left\n")
    assert "Traceback" not in demo.output
    assert demo.leftovers() == []


async def test_the_processes_of_a_demo_that_is_killed_end_by_themselves(tmp_path: Path) -> None:
    async with running_demo(tmp_path) as demo:
        await demo.shows(" asks: ")
        family = demo.family()
        demo.send(signal.SIGKILL)
        await demo.ends()
        assert len(family) >= 3
        assert await gone(family) == []


async def test_a_demo_whose_agent_dies_says_so_and_shows_its_log(tmp_path: Path) -> None:
    async with running_demo(tmp_path, "--agents", "1") as demo:
        await demo.shows(" gets: ")
        family = demo.family()
        [agent] = [p for p in demo.actors() if any("code_reviewer" in part for part in p.cmdline())]
        agent.kill()
        assert await demo.ends() == 1
        assert await gone(family) == []
    assert "nexus: the demo failed: the process reviewer-ada ended with exit code -9" in demo.output
    [kept] = demo.leftovers()
    assert f"--- {tmp_path / kept / 'reviewer-ada.log'}" in demo.output
    assert "Traceback" not in demo.output


async def test_you_may_answer_yourself_and_keep_it_running(tmp_path: Path) -> None:
    typed = "no\nonly packages/nexus/src/nexus/domain/routing.py\n"
    options = ("--agents", "1", "--ask", "--keep")
    async with running_demo(tmp_path, *options, typed=typed) as demo:
        await demo.shows("Nexus and its agents go on until Ctrl-C.")
        family = demo.family()
        url = re.findall(r"Nexus answers at (\S+)", demo.output)[0]
        async with httpx2.AsyncClient() as http:
            assert (await http.get(f"{url}/livez")).is_success
        demo.send(signal.SIGINT)
        assert await demo.ends() == 0
        assert await gone(family) == []
    assert "You: no" in demo.output
    assert "No diff, then." in demo.output
    assert "You: only packages/nexus/src/nexus/domain/routing.py" in demo.output


async def test_at_a_terminal_the_work_begins_when_you_have_come_and_is_there_until_you_leave(
    tmp_path: Path,
) -> None:
    browser = httpx2.AsyncClient(follow_redirects=True)
    async with demo_at_terminal(tmp_path) as demo, browser:
        await demo.shows("Open the link, then press Enter, and the work begins.")
        link = re.findall(r"Watch it in a browser: (\S+)", demo.output)[0]
        overview = (await browser.get(link)).url
        assert (await browser.get(overview)).is_success
        assert " gets: " not in demo.output
        demo.type("\n")
        await demo.shows("Look around; Enter ends the demo.")
        assert "8 of 8 tasks DONE" in demo.output
        assert "Robin" in (await browser.get(overview)).text
        family = demo.family()
        demo.type("\n")
        assert await demo.ends() == 0, demo.output
        assert await gone(family) == []
    assert demo.leftovers() == []


def test_outside_of_a_checkout_the_demo_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkout, "__file__", str(tmp_path / "checkout.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DemoFailed, match="needs a checkout of the repository"):
        checkout.find_checkout()


def test_the_tasks_of_the_demo_name_files_that_exist() -> None:
    found = checkout.find_checkout()
    tasks = checkout.read_tasks(found.tasks)
    text = found.tasks.read_text(encoding="utf-8")
    named = re.findall(r"packages/[\w/.-]+\.py\b", text)
    assert [name for name in named if not (found.root / name).is_file()] == []
    assert len(tasks) == 8


def test_tasks_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "tasks.json").write_text("[")
    with pytest.raises(DemoFailed, match=r"cannot read the tasks in .*tasks\.json"):
        checkout.read_tasks(tmp_path / "tasks.json")


def entry(type_: str, second: int, **data: Any) -> Entry:
    """Return something that happened to the task ``t``."""
    at = datetime(2026, 1, 1, 12, 0, second, tzinfo=UTC).isoformat()
    item = {"type": type_, "at": at, "agentId": "a", "taskId": "t", "data": data}
    return entry_of(item)


def test_the_board_follows_a_task_through_a_retry_and_a_question() -> None:
    board = Board(agents={"a": "Ada"})
    board.add({"id": "t", "title": "Review", "metadata": {}})
    seen = []
    for happened in (
        entry("task_assigned", 1),
        entry("task_retrying", 2, error="lost"),
        entry("task_assigned", 3),
        entry("task_started", 4),
        entry("task_blocked", 5),
        entry("message_posted", 5, kind="question", text="?"),
        entry("task_done", 9),
    ):
        board.apply(happened)
        seen.append(board.jobs["t"].status)
    assert seen == ["CLAIMED", "TODO", "CLAIMED", "IN_PROGRESS", *["BLOCKED_ON_HUMAN"] * 2, "DONE"]
    assert (board.is_done, board.seconds, board.jobs["t"].questions) == (True, 8.0, 1)
    assert totals(board).startswith("1 of 1 tasks DONE in 8.0 s")


def test_a_board_with_a_failed_task_is_finished_but_not_done() -> None:
    board = Board()
    board.add({"id": "t", "title": "Review", "metadata": {}})
    assert not board.is_finished
    board.apply(entry("task_failed", 1, error="no such file"))
    job = board.jobs["t"]
    assert (board.is_finished, board.is_done) == (True, False)
    assert (job.status, job.error) == (TaskStatus.FAILED, "no such file")


def test_what_is_said_is_shown_bounded_and_cannot_steer_the_terminal() -> None:
    said = entry("message_posted", 1, author="Ada", text="\x1b[2Jfirst\n" + "more\n" * 50)
    shown = message(said, "").plain
    assert shown.startswith("Ada: \ufffd[2Jfirst\n")
    assert shown.endswith("... 38 more lines in the thread")
