"""Where it is tested that an event is handed over once, whatever Nexus repeats."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from oblivion._inbox import Admission, Inbox, Receipt


def admit(inbox: Inbox, seq: int, event_id: str | None = None) -> Admission:
    return inbox.admit(inbox.receipt(event_id or f"id-{seq}", seq))


def test_an_event_is_new_once() -> None:
    inbox = Inbox()
    assert admit(inbox, 1) is Admission.NEW
    assert admit(inbox, 1) is Admission.AT_WORK


def test_an_event_that_was_handled_is_acknowledged_again_and_not_handed_over() -> None:
    inbox = Inbox()
    receipt = inbox.receipt("a", 1)
    inbox.admit(receipt)
    inbox.finish(receipt)
    assert inbox.take_acks() == [1]
    assert inbox.admit(receipt) is Admission.HANDLED
    inbox.finish(receipt)
    assert inbox.take_acks() == [1]


def test_an_event_at_work_is_not_acknowledged() -> None:
    inbox = Inbox()
    admit(inbox, 1)
    assert inbox.take_acks() == []


def test_the_same_number_under_another_id_is_the_same_event() -> None:
    inbox = Inbox()
    admit(inbox, 7, "one")
    assert admit(inbox, 7, "other") is not Admission.NEW


def test_the_same_id_under_another_number_is_the_same_event() -> None:
    inbox = Inbox()
    admit(inbox, 7, "one")
    assert admit(inbox, 8, "one") is not Admission.NEW


def test_an_event_that_overtook_another_does_not_hide_it() -> None:
    inbox = Inbox()
    admit(inbox, 2)
    assert admit(inbox, 1) is Admission.NEW


def test_hints_are_always_new() -> None:
    inbox = Inbox()
    assert inbox.admit(Receipt()) is Admission.NEW
    assert inbox.admit(Receipt()) is Admission.NEW


def test_numbers_start_anew_with_another_epoch() -> None:
    inbox = Inbox()
    inbox.adopt("one")
    admit(inbox, 1, "a")
    assert inbox.adopt("two")
    assert inbox.last_seq == 0
    assert admit(inbox, 1, "b") is Admission.NEW


def test_the_first_epoch_is_no_change() -> None:
    assert not Inbox().adopt("one")


def test_work_of_an_older_epoch_acknowledges_nothing_in_the_new_one() -> None:
    inbox = Inbox()
    inbox.adopt("one")
    receipt = inbox.receipt("a", 5)
    inbox.admit(receipt)
    inbox.adopt("two")
    inbox.finish(receipt)
    assert inbox.take_acks() == []


def test_a_gap_moves_the_numbers_on() -> None:
    inbox = Inbox()
    inbox.skip_to("one", 9)
    assert admit(inbox, 9) is Admission.HANDLED
    assert admit(inbox, 10) is Admission.NEW


def test_what_was_never_worked_on_is_new_when_it_comes_again() -> None:
    inbox = Inbox()
    receipt = inbox.receipt("a", 1)
    inbox.admit(receipt)
    inbox.forget(receipt)
    assert inbox.admit(receipt) is Admission.NEW


def test_the_memory_is_bounded_and_forgets_no_verdict() -> None:
    inbox = Inbox(memory=10)
    for seq in range(1, 1_001):
        receipt = inbox.receipt(f"id-{seq}", seq)
        inbox.admit(receipt)
        inbox.finish(receipt)
    assert admit(inbox, 1) is Admission.HANDLED
    assert admit(inbox, 1_000) is Admission.HANDLED


@given(st.lists(st.integers(min_value=1, max_value=30)))
def test_any_repetition_hands_each_number_over_once(seqs: list[int]) -> None:
    inbox = Inbox()
    new = [seq for seq in seqs if admit(inbox, seq) is Admission.NEW]
    assert sorted(new) == sorted(set(seqs))


class ResendingNexus(RuleBasedStateMachine):
    """Nexus resends what was not acknowledged; the agent ends handlers in any order."""

    @initialize()
    def begin(self) -> None:
        self.inbox = Inbox(memory=64)
        self.inbox.adopt("e")
        self.sent = 0
        self.unacked: set[int] = set()
        self.at_work: dict[int, Receipt] = {}
        self.handed_over: list[int] = []

    def deliver(self, seq: int) -> None:
        receipt = self.inbox.receipt(f"id-{seq}", seq)
        admission = self.inbox.admit(receipt)
        if admission is Admission.NEW:
            self.handed_over.append(seq)
            self.at_work[seq] = receipt
        elif admission is Admission.HANDLED:
            self.inbox.finish(receipt)

    @rule()
    @precondition(lambda self: len(self.unacked) < 32)
    def send_new(self) -> None:
        self.sent += 1
        self.unacked.add(self.sent)
        self.deliver(self.sent)

    @rule()
    def reconnect_and_resend(self) -> None:
        for seq in sorted(self.unacked):
            self.deliver(seq)

    @rule(data=st.data())
    @precondition(lambda self: self.at_work)
    def end_a_handler(self, data: st.DataObject) -> None:
        seq = data.draw(st.sampled_from(sorted(self.at_work)))
        self.inbox.finish(self.at_work.pop(seq))

    @rule(lost=st.booleans())
    def acknowledge(self, lost: bool) -> None:
        acks = self.inbox.take_acks()
        assert not set(acks) & set(self.at_work), "acknowledged while its handler runs"
        if not lost:
            self.unacked -= set(acks)

    @invariant()
    def no_event_is_handed_over_twice(self) -> None:
        assert len(self.handed_over) == len(set(self.handed_over))

    @invariant()
    def every_event_is_handed_over_in_order(self) -> None:
        assert self.handed_over == list(range(1, self.sent + 1))


TestResendingNexus = ResendingNexus.TestCase
