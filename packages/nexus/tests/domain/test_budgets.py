"""Budgets are used up by doing, refill with time, and take up no more room than is said."""

from hypothesis import given
from hypothesis import strategies as st

from nexus.domain.budgets import Budgets

MINUTE = 60_000


def test_so_much_may_be_done_at_once_and_then_as_time_allows() -> None:
    budgets = Budgets(6)
    for _ in range(6):
        assert budgets.wait_s("a", 0) == 0
        budgets.spend("a", 0)
    assert budgets.wait_s("a", 0) == 10
    assert budgets.wait_s("a", 9_000) == 1
    assert budgets.wait_s("a", 10_000) == 0
    assert budgets.wait_s("b", 0) == 0


def test_what_is_given_back_was_never_spent() -> None:
    budgets = Budgets(1)
    budgets.spend("a", 0)
    budgets.spend("a", 0, -1)
    assert budgets.wait_s("a", 0) == 0
    assert len(budgets) == 0


def test_a_clock_that_is_set_back_gives_nothing_away() -> None:
    budgets = Budgets(1)
    budgets.spend("a", 5 * MINUTE)
    assert budgets.wait_s("a", 0) == 60


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 90_000)), max_size=200))
def test_no_more_is_done_in_any_minute_than_twice_the_budget(steps: list[tuple[int, int]]) -> None:
    """Once what was saved, and once what came in meanwhile."""
    budgets, now, done = Budgets(5), 0, list[int]()
    for attempts, pause in steps:
        now += pause
        for _ in range(attempts):
            if budgets.wait_s("a", now) == 0:
                budgets.spend("a", now)
                done.append(now)
    for begin in done:
        assert sum(begin <= at < begin + MINUTE for at in done) <= 10


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=3), max_size=300))
def test_no_more_names_are_remembered_than_is_said_and_those_are_the_newest(
    names: list[str],
) -> None:
    budgets = Budgets(3, most=10)
    for name in names:
        budgets.spend(name, 0)
    newest = list(dict.fromkeys(reversed(names)))[:10]
    assert len(budgets) == len(newest)
    assert all(budgets.left(name, 0) < 3 for name in newest)
