"""Who is told of tasks that wait to be claimed."""

import pytest

from nexus.domain.offers import (
    CHOOSY_MS,
    HEAD_START_MS,
    HEAD_STARTS,
    REMINDERS,
    Favours,
    OfferBook,
    Waiting,
    favour,
    next_round,
    rest_s,
)
from nexus.domain.routing import Candidate


def waiting(*agents: str, task: str = "t", priority: int = 3) -> Waiting:
    return Waiting(task_id=task, priority=priority, agents=frozenset(agents))


def test_a_waiting_task_is_offered_once_to_each_eligible_agent() -> None:
    first = next_round(OfferBook(), [waiting("a", "b")])
    again = next_round(first.book, [waiting("a", "b", "c")])
    assert (first.offers, again.offers) == ({"a": ["t"], "b": ["t"]}, {"c": ["t"]})


def test_an_agent_that_had_no_room_for_a_while_is_offered_it_again() -> None:
    book = next_round(OfferBook(), [waiting("a")]).book
    book = next_round(book, [waiting()]).book
    assert next_round(book, [waiting("a")]).offers == {"a": ["t"]}


def test_all_who_ever_heard_of_a_task_are_told_that_it_is_gone() -> None:
    book = next_round(OfferBook(), [waiting("a", "b")]).book
    book = next_round(book, [waiting("b")]).book
    step = next_round(book, [])
    assert step.gone == {"t": frozenset({"a", "b"})}
    assert step.book == OfferBook()


def test_an_agent_that_connects_anew_is_offered_everything_again() -> None:
    book = next_round(OfferBook(), [waiting("a", "b")]).book.without("a")
    assert next_round(book, [waiting("a", "b")]).offers == {"a": ["t"]}


def test_a_reminder_names_only_the_few_most_urgent_tasks() -> None:
    tasks = [str(number) for number in range(50)]
    first = next_round(OfferBook(), [waiting("a", task=task) for task in tasks])
    assert first.offers == {"a": tasks}
    book = next_round(first.book, [waiting(task=task) for task in tasks]).book
    reminded = next_round(book, [waiting("a", task=task) for task in [*tasks, "new"]])
    assert reminded.offers == {"a": [*tasks[:REMINDERS], "new"]}


def test_agents_hear_of_equally_urgent_tasks_in_different_orders() -> None:
    agents = [f"agent-{number}" for number in range(10)]
    tasks = [waiting(*agents, task=str(number)) for number in range(20)]
    offers = next_round(OfferBook(), tasks).offers
    assert {tuple(sorted(heard)) for heard in offers.values()} == {
        tuple(sorted(task.task_id for task in tasks))
    }
    assert len({heard[0] for heard in offers.values()}) == len(agents)


def test_what_is_more_urgent_is_heard_of_first_by_all() -> None:
    urgent = [waiting("a", "b", task=f"urgent-{number}", priority=1) for number in range(2)]
    normal = [waiting("a", "b", task=f"normal-{number}") for number in range(2)]
    for heard in next_round(OfferBook(), [*urgent, *normal]).offers.values():
        assert [task.partition("-")[0] for task in heard] == ["urgent"] * 2 + ["normal"] * 2


def candidate(agent_id: str, *, room: int = 1, load: int = 0, idle_since: int = 0) -> Candidate:
    return Candidate(
        agent_id=agent_id,
        groups=frozenset({"team"}),
        capabilities=frozenset(),
        load=load,
        max_concurrency=load + room,
        idle_since=idle_since,
    )


def heard(tasks: list[Waiting]) -> dict[str, str]:
    return {task.task_id: " ".join(sorted(task.agents)) for task in tasks}


def test_each_new_task_goes_to_one_agent_first_that_has_room_and_few_of_them_at_once() -> None:
    tasks = [waiting("a", "b", task=str(number)) for number in range(HEAD_STARTS + 2)]
    free = [candidate("a", room=1), candidate("b", room=HEAD_STARTS + 9)]
    favours, audible = favour(Favours(), tasks, free, now=1_000)
    assert [heard(audible)[task.task_id] for task in tasks] == ["a", *["b"] * HEAD_STARTS, ""]
    _, audible = favour(favours, tasks[2:], free[1:], now=1_000)
    assert set(heard(audible).values()) == {"b"}


def test_the_least_loaded_agent_has_the_head_start_then_the_one_idle_longest() -> None:
    free = [
        candidate("busy", load=1, idle_since=1),
        candidate("late", idle_since=9),
        candidate("early", idle_since=5),
    ]
    _, audible = favour(Favours(), [waiting("busy", "late", "early")], free, now=1_000)
    assert heard(audible) == {"t": "early"}


def test_what_nobody_takes_in_time_all_are_told_of() -> None:
    tasks, free = [waiting("a", "b")], [candidate("a"), candidate("b", idle_since=1)]
    favours, _ = favour(Favours(), tasks, free, now=1_000)
    favours, early = favour(favours, tasks, free, now=999 + HEAD_START_MS)
    favours, late = favour(favours, tasks, free, now=1_000 + HEAD_START_MS)
    favours, later = favour(favours, tasks, free, now=1_001 + HEAD_START_MS)
    assert [heard(one)["t"] for one in (early, late, later)] == ["a", "a b", "a b"]
    assert not favours.are_running


def test_an_agent_that_lets_a_head_start_pass_hears_of_everything_and_holds_up_nothing() -> None:
    first, free = [waiting("a", "b")], [candidate("a"), candidate("b", idle_since=1)]
    favours, _ = favour(Favours(), first, free, now=0)
    favours, _ = favour(favours, first, free, now=HEAD_START_MS)
    tasks = [waiting("a", "b", task=str(number)) for number in range(3)]
    favours, audible = favour(favours, tasks, free, now=HEAD_START_MS + 1)
    assert heard(audible) == {"0": "a b", "1": "a", "2": "a"}
    _, audible = favour(favours, tasks[1:], free, now=HEAD_START_MS + CHOOSY_MS)
    assert heard(audible)["1"] == "a"


def test_a_head_start_ends_when_its_agent_has_no_room_any_more() -> None:
    favours, _ = favour(Favours(), [waiting("a", "b")], [candidate("a")], now=0)
    _, audible = favour(favours, [waiting("b")], [candidate("b")], now=50)
    assert heard(audible) == {"t": "b"}


@pytest.mark.parametrize(
    ("took_ms", "rests_ms"), [(0.1, 5), (1, 8), (5, 40), (50, 100), (1_000, 100)]
)
def test_looking_at_what_to_offer_leaves_most_of_the_time_to_those_who_work(
    took_ms: float, rests_ms: float
) -> None:
    assert rest_s(took_ms / 1000) == pytest.approx(rests_ms / 1000)
