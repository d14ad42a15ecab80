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


def test_however_many_are_away_it_is_one_line_that_people_can_read() -> None:
    assert "Ann is offline and will see this when it is back" in lines.heard_offline(["Ann"])
    assert "Ann, Bob and Carl are offline" in lines.heard_offline(["Ann", "Bob", "Carl"])
    many = lines.heard_offline([f"Agent {number}" for number in range(500)])
    assert "Agent 9 and 490 more are offline" in many
