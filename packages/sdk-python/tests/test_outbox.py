"""Where it is tested that calls keep their order and their bound until they are answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oblivion import QueueOverflow
from oblivion._outbox import RESENDS, Entry, Outbox


def entry(name: str, *, essential: bool = False) -> Entry:
    return Entry(name, "status_update", {}, essential)


def filled(*names: str, bound: int = 100, in_flight: int = 64) -> Outbox:
    outbox = Outbox(bound, in_flight)
    for name in names:
        outbox.add(entry(name))
    return outbox


def due(outbox: Outbox) -> list[str]:
    return [entry.id for entry in outbox.due()]


def test_calls_are_sent_once_in_their_order() -> None:
    outbox = filled("a", "b", "c")
    assert due(outbox) == ["a", "b", "c"]
    assert due(outbox) == []


def test_after_a_lost_connection_they_are_sent_again_in_the_original_order() -> None:
    outbox = filled("a", "b", "c")
    due(outbox)
    outbox.remove("b")
    outbox.add(entry("d"))
    outbox.rewind()
    assert due(outbox) == ["a", "c", "d"]


def test_one_call_more_than_the_bound_is_refused_and_the_bound_is_named() -> None:
    outbox = filled("a", "b", bound=2)
    with pytest.raises(QueueOverflow, match=r"2 calls wait .*limits\.pending_calls"):
        outbox.add(entry("c"))
    assert len(outbox) == 2


def test_the_report_of_an_attempt_is_kept_beyond_the_bound() -> None:
    outbox = filled("a", bound=1)
    outbox.add(entry("report", essential=True))
    assert due(outbox) == ["a", "report"]


def test_only_so_many_calls_are_under_way_at_once() -> None:
    outbox = filled("a", "b", "c", in_flight=2)
    assert due(outbox) == ["a", "b"]
    outbox.remove("a")
    assert due(outbox) == ["c"]


def test_a_paused_call_waits_longer_every_time_and_is_given_up_in_the_end() -> None:
    outbox = filled("a")
    pauses: list[float | None] = []
    for _ in range(RESENDS + 1):
        due(outbox)
        pauses.append(outbox.pause("a"))
        outbox.resume("a")
    assert pauses == [0.5, 1, 2, 4, 8, None]


def test_the_report_of_an_attempt_is_never_given_up() -> None:
    outbox = Outbox(1)
    outbox.add(entry("report", essential=True))
    pauses = [outbox.pause("report") for _ in range(100)]
    assert pauses[-1] == 30


def test_a_paused_call_lets_the_next_one_pass() -> None:
    outbox = filled("a", "b", in_flight=1)
    assert due(outbox) == ["a"]
    outbox.pause("a")
    assert due(outbox) == ["b"]


def test_what_is_no_longer_there_can_be_resumed_and_removed() -> None:
    outbox = filled("a")
    outbox.remove("a")
    outbox.remove("a")
    outbox.resume("a")
    assert outbox.pause("a") is None
    assert len(outbox) == 0


@given(
    steps=st.lists(st.sampled_from(["add", "send", "answer", "cut", "pause", "resume"])),
    in_flight=st.integers(min_value=1, max_value=5),
)
def test_no_interleaving_loses_reorders_or_floods(steps: list[str], in_flight: int) -> None:
    outbox, alive, sent, made = Outbox(10_000, in_flight), list[str](), list[str](), 0
    paused: list[str] = []
    for step in steps:
        if step == "add":
            made += 1
            outbox.add(entry(f"{made:04}"))
            alive.append(f"{made:04}")
        elif step == "send":
            names = due(outbox)
            assert names == sorted(names)
            sent += names
        elif step == "answer" and sent:
            outbox.remove(sent[0])
            alive.remove(sent.pop(0))
        elif step == "pause" and sent and outbox.pause(sent[0]) is not None:
            paused.append(sent.pop(0))
        elif step == "resume" and paused:
            outbox.resume(paused.pop(0))
        elif step == "cut":
            outbox.rewind()
            sent.clear()
        assert len(sent) <= in_flight
        assert len(outbox) == len(alive)
