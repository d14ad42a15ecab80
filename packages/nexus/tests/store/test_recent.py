"""What was just committed is handed on without a hole, or not at all."""

from typing import Any

import pytest

from nexus.store.recent import MOST_KEPT, RecentEvents


@pytest.fixture
def recent() -> RecentEvents:
    """Events that somebody waits for on behalf of agent ``a``."""
    recent = RecentEvents()
    recent.expect("a")
    return recent


def told(*seqs: int, agent: str = "a") -> list[dict[str, Any]]:
    """Return events as they are committed."""
    return [{"agent_id": agent, "seq": seq} for seq in seqs]


def taken(recent: RecentEvents, after: int) -> list[int] | None:
    """Return the numbers of what is handed on."""
    found = recent.take("a", after=after)
    return None if found is None else [event["seq"] for event in found]


def test_what_follows_is_handed_on_once(recent: RecentEvents) -> None:
    recent.add(told(4))
    recent.add(told(5, 6))
    assert taken(recent, after=3) == [4, 5, 6]
    assert taken(recent, after=6) is None


def test_what_was_sent_already_is_left_out(recent: RecentEvents) -> None:
    recent.add(told(3, 4, 5))
    assert taken(recent, after=4) == [5]


@pytest.mark.parametrize(
    ("seqs", "after"),
    [
        ((5,), 3),  # the one before it is not here
        ((4, 6), 3),  # one in between is not
        ((4, 7, 5), 3),
    ],
)
def test_where_a_number_is_missing_the_store_is_asked(
    recent: RecentEvents, seqs: tuple[int, ...], after: int
) -> None:
    recent.add(told(*seqs))
    assert taken(recent, after) is None


def test_what_was_heard_of_in_another_order_is_handed_on_in_its_own(recent: RecentEvents) -> None:
    """As two threads may tell of their transactions."""
    for seq in (4, 6, 5, 7):
        recent.add(told(seq))
    assert taken(recent, after=3) == [4, 5, 6, 7]


def test_who_falls_behind_by_more_than_is_kept_asks_the_store(recent: RecentEvents) -> None:
    recent.add(told(*range(1, MOST_KEPT + 2)))
    assert taken(recent, after=0) is None


def test_nothing_is_kept_for_agents_that_nobody_expects(recent: RecentEvents) -> None:
    recent.expect("a")
    recent.forget("a")
    recent.add(told(1))
    recent.add(told(1, agent="b"))
    assert recent.take("b", after=0) is None
    assert taken(recent, after=0) == [1]
    recent.add(told(2))
    recent.forget("a")
    recent.expect("a")
    assert taken(recent, after=1) is None
