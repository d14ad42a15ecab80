"""Who is told of tasks that wait to be claimed."""

from nexus.domain.offers import OfferBook, next_round


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
