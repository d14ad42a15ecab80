"""The life of a task as pure decisions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.domain.backoff import LONGEST_RETRY_MS, retry_delay_ms
from nexus.domain.errors import InvalidTransition
from nexus.domain.tasks import check_holder_move, check_person_move, end_attempt
from oblivion.protocol import FINAL_STATUSES, HELD_STATUSES, TaskStatus

statuses = st.sampled_from(TaskStatus)


@given(wanted=statuses, current=statuses.filter(lambda status: status not in HELD_STATUSES))
def test_an_agent_cannot_move_what_nobody_holds(current: TaskStatus, wanted: TaskStatus) -> None:
    with pytest.raises(InvalidTransition, match="an agent moves a task it holds"):
        check_holder_move(current, wanted)


@pytest.mark.parametrize("wanted", [TaskStatus.CANCELLED, TaskStatus.CLAIMED])
@pytest.mark.parametrize("current", sorted(HELD_STATUSES))
def test_an_agent_cannot_cancel_or_claim_by_an_update(
    current: TaskStatus, wanted: TaskStatus
) -> None:
    with pytest.raises(InvalidTransition):
        check_holder_move(current, wanted)


@given(current=st.sampled_from(sorted(FINAL_STATUSES)), wanted=statuses)
def test_a_person_changes_an_ended_task_only_by_a_retry(
    current: TaskStatus, wanted: TaskStatus
) -> None:
    retry = wanted is TaskStatus.TODO and current is not TaskStatus.DONE
    if retry:
        check_person_move(current, wanted)
        return
    with pytest.raises(InvalidTransition):
        check_person_move(current, wanted)


@given(used=st.integers(0, 20), most=st.integers(1, 20))
def test_an_ended_attempt_is_retried_until_the_attempts_are_used_up(used: int, most: int) -> None:
    end = end_attempt(attempts_used=used, max_attempts=most, retry_delay_ms=5)
    assert end.attempts_used == used + 1
    assert (end.status is TaskStatus.FAILED) == (used + 1 >= most)
    assert end.retry_delay_ms == (0 if end.status is TaskStatus.FAILED else 5)


def test_retries_wait_twice_as_long_each_time() -> None:
    assert [retry_delay_ms(used, 0) for used in range(5)] == [1000, 2000, 4000, 8000, 16000]
    assert [retry_delay_ms(used, 0) for used in (5, 6, 7)] == [32_000, 60_000, 60_000]


@given(used=st.integers(-3, 10_000), jitter=st.floats(0, 1, exclude_max=True))
def test_no_retry_waits_longer_than_the_bound_and_a_quarter(used: int, jitter: float) -> None:
    assert 1000 <= retry_delay_ms(used, jitter) <= LONGEST_RETRY_MS * 5 // 4
