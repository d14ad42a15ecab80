"""Where the waiting between two connects is tested, without any network."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from oblivion._reconnect import CAP_SECONDS, Backoff

chances = st.floats(min_value=0, max_value=1)
delays = st.floats(min_value=0.001, max_value=1_000)


def waits(backoff: Backoff, count: int, chance: float = 0.0) -> list[float]:
    """Return the first ``count`` waits."""
    found: list[float] = []
    for _ in range(count):
        wait, backoff = backoff.next(chance)
        found.append(wait)
    return found


def test_the_waits_are_those_that_the_quickstart_prints() -> None:
    assert waits(Backoff(initial=5.0), 4) == [5, 10, 20, 40]


def test_no_wait_is_longer_than_five_minutes() -> None:
    assert waits(Backoff(initial=5.0), 9)[-3:] == [300, 300, 300]


def test_chance_adds_up_to_a_fifth() -> None:
    assert waits(Backoff(initial=5.0), 2, chance=1.0) == [6, 12]


def test_a_draining_server_replaces_the_first_wait_alone() -> None:
    assert waits(Backoff(initial=5.0, hint=2.5), 3) == [2.5, 10, 20]


def test_a_draining_server_cannot_send_an_agent_away_for_hours() -> None:
    assert waits(Backoff(initial=5.0, hint=86_400), 1) == [CAP_SECONDS]


def test_ten_thousand_failures_are_no_overflow() -> None:
    assert waits(Backoff(initial=5.0, attempt=10_000), 1) == [CAP_SECONDS]


def test_while_all_agents_are_stopped_no_wait_is_longer_than_half_a_minute() -> None:
    stopped = Backoff(initial=5.0, attempt=4).while_stopped(True)
    assert waits(stopped, 2) == [30, 30]
    assert waits(stopped.while_stopped(False), 2) == [80, 160]


@given(initial=delays, chance=chances)
def test_waits_never_shrink_and_stay_within_their_bounds(initial: float, chance: float) -> None:
    found = waits(Backoff(initial=initial), 40, chance)
    assert all(one <= other for one, other in pairwise(found))
    assert all(0 < wait <= CAP_SECONDS * 1.2 for wait in found)
