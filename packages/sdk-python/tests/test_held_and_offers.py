"""Where the memory of leases and of offered tasks is tested."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from oblivion import TaskAvailablePayload
from oblivion._held import Held
from oblivion._offers import Offers


def offer(task_id: str, priority: int = 3, day: int = 1) -> TaskAvailablePayload:
    created = datetime(2026, 1, day, tzinfo=UTC)
    return TaskAvailablePayload(
        task_id=task_id, title=task_id, priority=priority, created_at=created
    )


def test_a_lease_is_taken_once() -> None:
    held = Held()
    assert held.take("t", 1) is not None
    assert held.take("t", 1) is None


def test_a_later_attempt_replaces_the_earlier_one() -> None:
    held = Held()
    held.take("t", 1)
    assert held.take("t", 2) is not None
    assert held.take("t", 1) is None
    assert [(hold.task_id, hold.attempt) for hold in held.active()] == [("t", 2)]


def test_the_end_of_an_older_attempt_leaves_the_newer_lease_alone() -> None:
    held = Held()
    held.take("t", 2)
    assert not held.drop("t", 1)
    assert held.drop("t", 2)
    assert held.get("t") is None


def test_the_most_urgent_offer_goes_first_then_the_oldest() -> None:
    offers = Offers(10)
    for one in (offer("low", 4), offer("new", 1, day=2), offer("old", 1, day=1), offer("high", 2)):
        offers.add(one)
    assert [offers.take().task_id for _ in range(4)] == ["old", "new", "high", "low"]


def test_beyond_the_bound_the_least_urgent_offer_is_forgotten() -> None:
    offers = Offers(2)
    for one in (offer("low", 4), offer("urgent", 1), offer("high", 2)):
        offers.add(one)
    assert [offers.take().task_id for _ in range(2)] == ["urgent", "high"]


def test_who_keeps_losing_looks_further_down_the_list_and_comes_back_as_it_wins() -> None:
    offers = Offers(100, choose=lambda number: number - 1)
    for number in range(60):
        offers.add(offer(f"{number:02}"))
    taken = [offers.take().task_id]
    for _ in range(3):
        offers.lost()
        taken.append(offers.take().task_id)
    assert taken == ["00", "02", "05", "10"]
    for _ in range(4):
        offers.won()
    assert offers.take().task_id == "01"


def test_an_offer_that_is_gone_is_not_claimed() -> None:
    offers = Offers(2)
    offers.add(offer("t"))
    offers.drop("t")
    offers.drop("never seen")
    assert len(offers) == 0


@given(st.lists(st.integers(min_value=0, max_value=50), max_size=200))
def test_offers_never_grow_beyond_their_bound(numbers: list[int]) -> None:
    offers = Offers(7)
    for number in numbers:
        offers.add(offer(f"t{number}", priority=number % 5))
        assert len(offers) <= 7
