"""What the app says about itself is what people can do then."""

import pytest

from nexus.integrations.slack import lines
from oblivion.protocol import TaskStatus


@pytest.mark.parametrize("status", [TaskStatus.FAILED, TaskStatus.CANCELLED])
def test_whoever_speaks_about_a_task_that_ended_badly_is_shown_retry(status: TaskStatus) -> None:
    assert "Press *Retry*" in lines.heard_ended(status)


def test_who_is_told_of_what_was_said_about_an_ended_task_is_named() -> None:
    assert "nobody works on it" in lines.heard_ended(TaskStatus.DONE)
    told = lines.heard_ended(TaskStatus.DONE, ["Coder"])
    assert "Coder is told" in told
    assert "nobody" not in told


def test_nobody_is_sent_to_a_button_that_a_done_task_does_not_have() -> None:
    said = lines.heard_ended(TaskStatus.DONE)
    assert "Retry" not in said
    assert "Mention the app in the channel" in said
