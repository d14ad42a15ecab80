"""A task's life is drawn to scale, from what was written down about it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nexus.observer.timeline import WIDTH, draw

TYPES = ["task_assigned", "task_started", "task_blocked", "task_done", "message_posted", "other"]


def entry(type_: str, at: int) -> dict[str, Any]:
    return {"type": type_, "at": at}


def test_stretches_are_as_long_as_they_lasted() -> None:
    line = draw(
        [
            entry("task_created", 1000),
            entry("task_assigned", 2000),
            entry("task_started", 2500),
            entry("message_posted", 3000),
            entry("task_done", 5000),
        ],
        began=1000,
        now=99_000,
    )
    drawn = [(s.status, s.lasted, s.x, s.width) for s in line.stretches]
    assert drawn == [
        ("TODO", 1000, 0, 250),
        ("CLAIMED", 500, 250, 125),
        ("IN_PROGRESS", 2500, 375, 625),
    ]
    assert [mark.x for mark in line.marks] == [500]
    assert line.lasted == 4000


def test_calls_of_tools_are_drawn_beside_with_their_wait_for_a_person() -> None:
    call = {"tool": "ship", "action": "it", "created_at": 250, "state": "pending_approval"}
    line = draw(
        [entry("task_started", 0), entry("assignment_sent", 50), entry("assignment_heard", 100)],
        began=0,
        now=1000,
        calls=[{**call, "finished_at": 500}, {**call, "finished_at": None}],
    )
    assert [(one.name, one.x, one.width, one.lasted) for one in line.calls] == [
        ("ship.it", 250, 250, 250),
        ("ship.it", 250, 750, 750),
    ]
    assert [(mark.type, mark.x) for mark in line.marks] == [
        ("assignment_sent", 50),
        ("assignment_heard", 100),
    ]


def test_what_has_not_ended_goes_on_until_now() -> None:
    line = draw([entry("task_assigned", 100)], began=0, now=400)
    assert [(s.status, s.x, s.width) for s in line.stretches] == [
        ("TODO", 0, 250),
        ("CLAIMED", 250, 750),
    ]


def test_a_task_that_was_retried_goes_on_after_its_end() -> None:
    line = draw(
        [entry("task_failed", 100), entry("task_retried", 300)],
        began=0,
        now=400,
    )
    assert [s.status for s in line.stretches] == ["TODO", "FAILED", "TODO"]


@given(st.lists(st.tuples(st.sampled_from(TYPES), st.integers(0, 10_000))), st.integers(0, 20_000))
def test_nothing_is_drawn_outside_and_nothing_is_left_out(
    found: list[tuple[str, int]], now: int
) -> None:
    entries = [entry(type_, at) for type_, at in sorted(found, key=lambda one: one[1])]
    line = draw(entries, began=0, now=now)
    assert all(0 <= s.x <= WIDTH and s.x + s.width <= WIDTH + 0.1 for s in line.stretches)
    assert all(0 <= mark.x <= WIDTH for mark in line.marks)
    assert sum(s.lasted for s in line.stretches) == line.lasted
