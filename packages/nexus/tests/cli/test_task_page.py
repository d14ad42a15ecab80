"""The page of a task tells people what its messages say now, and which were changed."""

import pytest

from nexus.cli.task_page import print_task


def test_changed_and_taken_back_messages_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    thread = [
        {"username": "Ada", "text": "Use staging", "isHuman": True, "edited": True},
        {"username": "Bob", "text": "", "isHuman": True, "deleted": True},
        {"username": "coder", "text": "On it", "isHuman": False},
    ]
    print_task({"id": "t1", "title": "Ship"}, thread, "coder")
    printed = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert printed[-3:] == ["Ada  Use staging (edited)", "Bob  (taken back)", "coder  On it"]
