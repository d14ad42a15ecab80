"""Who is told of tasks that wait to be claimed."""

from nexus.domain.offers import REMINDERS, OfferBook, next_round


def test_a_waiting_task_is_offered_once_to_each_eligible_agent() -> None:
    first = next_round(OfferBook(), {"t": frozenset({"a", "b"})})
    again = next_round(first.book, {"t": frozenset({"a", "b", "c"})})
    assert (first.offers, again.offers) == ([("t", "a"), ("t", "b")], [("t", "c")])


def test_an_agent_that_had_no_room_for_a_while_is_offered_it_again() -> None:
    book = next_round(OfferBook(), {"t": frozenset({"a"})}).book
    book = next_round(book, {"t": frozenset()}).book
    assert next_round(book, {"t": frozenset({"a"})}).offers == [("t", "a")]


def test_all_who_ever_heard_of_a_task_are_told_that_it_is_gone() -> None:
    book = next_round(OfferBook(), {"t": frozenset({"a", "b"})}).book
    book = next_round(book, {"t": frozenset({"b"})}).book
    step = next_round(book, {})
    assert step.gone == {"t": frozenset({"a", "b"})}
    assert step.book == OfferBook()


def test_an_agent_that_connects_anew_is_offered_everything_again() -> None:
    book = next_round(OfferBook(), {"t": frozenset({"a", "b"})}).book.without("a")
    assert next_round(book, {"t": frozenset({"a", "b"})}).offers == [("t", "a")]


def test_a_reminder_names_only_the_few_most_urgent_tasks() -> None:
    waiting = {str(number): frozenset({"a"}) for number in range(50)}
    first = next_round(OfferBook(), waiting)
    assert len(first.offers) == 50
    book = next_round(first.book, dict.fromkeys(waiting, frozenset())).book
    reminded = next_round(book, {**waiting, "new": frozenset({"a"})}).offers
    assert reminded == [*[(str(number), "a") for number in range(REMINDERS)], ("new", "a")]
