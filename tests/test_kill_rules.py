"""Each rule of the checker, on a history written by hand: green when whole, red when bent."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from kill_checker import RULES, WINDOW, History, Stored, StoredEvent, StoredTask, violations
from kill_journal import Entry, What

DONE = StoredTask(
    id="t",
    title="a task",
    status="DONE",
    attempt=1,
    holder="ann",
    result={"by": "ann", "attempt": 1},
)
Bend = Callable[[History], History]


def entry(what: What, who: str = "ann", *, life: int = 1, **facts: Any) -> Entry:
    """Return an entry without a place."""
    return Entry(n=0, life=life, who=who, what=what, **facts)


def event(seq: int = 1, *, who: str = "ann", attempt: int = 1, life: int = 1) -> Entry:
    """Return the receipt of an assignment."""
    return entry(
        What.RECEIVED,
        who,
        life=life,
        id=f"{who}-{seq}",
        kind="task_assigned",
        task="t",
        attempt=attempt,
        seq=seq,
        digest=f"attempt {attempt}",
    )


def ending(call: str = "c", status: str = "DONE", **facts: Any) -> Entry:
    """Return the confirmation that an attempt has ended."""
    told = {"kind": "task_update", "task": "t", "attempt": 1, "ok": True, "digest": status}
    return entry(What.REPLIED, **{"id": call, "status": status, **told, **facts})


def answered(key: str = "a task", **facts: Any) -> Entry:
    """Return the answer to a request under a key."""
    told = {"kind": "/observer/tasks", "task": "t", "status": "201", "digest": "t"}
    return entry(What.ANSWERED, "person", **{"id": key, **told, **facts})


def spoken(text: str) -> Entry:
    """Return the answer to a message."""
    return answered(text, kind="/messages", task=None, digest="1.2")


def read(status: str) -> Entry:
    """Return what a reader saw."""
    return entry(What.READ, "person", task="t", status=status, digest=status)


def history(*entries: Entry, stored: Stored) -> History:
    """Put entries in their places."""
    places = count()
    return History(entries=[replace(one, n=next(places)) for one in entries], stored=stored)


WHOLE = history(
    entry(What.ASKED, "person", id="a task", kind="/observer/tasks"),
    answered(),
    entry(What.READY, seq=0, id="epoch", ok=True),
    event(),
    entry(What.ACKED, seq=1, ok=True),
    entry(What.STARTED, id="ann-1", task="t", attempt=1),
    entry(What.CALLED, id="c", kind="task_update", task="t", attempt=1, status="DONE"),
    ending(),
    read("DONE"),
    stored=Stored(
        tasks=[DONE],
        messages=[],
        events=[StoredEvent(agent="ann", seq=1, id="ann-1")],
        heads={"ann": 1},
    ),
)


def then(*more: Entry) -> Bend:
    """Add entries at the end."""
    return lambda whole: history(*whole.entries, *more, stored=whole.stored)


def stored(**changes: Any) -> Bend:
    """Change what is on disk."""
    return lambda whole: replace(whole, stored=replace(whole.stored, **changes))


def task(**changes: Any) -> Bend:
    """Change the only task on disk."""
    return stored(tasks=[replace(DONE, **changes)])


def without(*whats: What) -> Bend:
    """Take entries away."""
    return lambda whole: history(
        *(one for one in whole.entries if one.what not in whats), stored=whole.stored
    )


BENT: list[tuple[str, Bend, str]] = [
    ("accepted_work_is_kept_and_ends", stored(tasks=[]), "A: .* and is gone"),
    ("accepted_work_is_kept_and_ends", task(title="another"), "A: .* and is 'another'"),
    ("accepted_work_is_kept_and_ends", task(status="CLAIMED"), "A: .* never ended: it is CLAIMED"),
    (
        "nobody_is_refused_or_left_waiting",
        then(entry(What.REFUSED, "person", kind="/tasks/t", text="404")),
        "A: person was refused /tasks/t",
    ),
    (
        "nobody_is_refused_or_left_waiting",
        then(entry(What.STUCK, "nexus", text="emit.after:2 was never reached")),
        "A: nothing went on in life 1",
    ),
    ("said_words_are_kept", then(spoken("hello")), "A: message 'hello' was confirmed and is gone"),
    (
        "said_words_are_kept",
        then(
            entry(What.CALLED, id="m", kind="post_message", text="hi"),
            entry(What.REPLIED, id="m", kind="post_message", ok=True),
        ),
        "A: message 'hi' was confirmed and is gone",
    ),
    ("confirmed_moves_are_kept", task(attempt=0), "A: DONE of attempt 1 .* is forgotten"),
    (
        "confirmed_moves_are_kept",
        task(status="CLAIMED"),
        "A: DONE of attempt 1 .* the task is CLAIMED",
    ),
    (
        "each_attempt_is_granted_once",
        then(event(who="bob")),
        "L: attempt 1 at t went to ann and bob",
    ),
    (
        "each_attempt_is_granted_once",
        then(event(2, attempt=2)),
        "L: attempt 2 at t was granted and is unknown",
    ),
    ("each_attempt_ends_once", then(ending("d")), "L: attempt 1 at t was ended 2 times"),
    ("each_attempt_ends_once", then(ending("d", who="bob")), "L: DONE .* by bob .* was ann's"),
    ("each_attempt_ends_once", without(What.RECEIVED), "L: DONE .* by ann .* was nobody's"),
    (
        "a_new_attempt_has_a_reason",
        then(event(2, attempt=2)),
        "L: t was leased to ann while ann held attempt 1",
    ),
    ("done_is_final", then(event(2, attempt=2)), "T: DONE .* but attempt 2 was granted"),
    ("done_is_final", task(status="FAILED"), "T: DONE .* the task is FAILED in attempt 1"),
    ("done_is_final", task(result={"by": "bob", "attempt": 1}), "T: t is DONE by ann, .*bob"),
    ("read_ends_stay", then(read("TODO")), "T: t was read as DONE, later as TODO"),
    (
        "events_come_in_order_without_holes",
        then(event(3)),
        "D: ann was sent event 3 after 1",
    ),
    (
        "events_come_in_order_without_holes",
        stored(heads={"ann": 2}),
        "D: ann has seen events up to 1; the store has told it 2",
    ),
    (
        "an_event_never_changes",
        then(replace(event(), digest="other words")),
        "D: event 1 of ann came with two contents",
    ),
    ("an_event_never_changes", stored(events=[]), "D: event 1 of ann .* is not in the store"),
    (
        "settled_events_stay_settled",
        then(event(life=2)),
        "D: ann acknowledged event 1 and was sent it again",
    ),
    (
        "what_is_withdrawn_is_over",
        then(
            replace(event(), status="withdrawn"),
            entry(What.CALLED, id="d", kind="task_update", task="t", attempt=1, status="DONE"),
            ending("d"),
        ),
        "D: DONE of attempt 1 .* was confirmed after its assignment came as withdrawn",
    ),
    (
        "histories_only_grow",
        then(entry(What.READY, seq=0, id="epoch")),
        "D: the history of ann shrank from 1 to 0",
    ),
    (
        "histories_only_grow",
        then(entry(What.READY, seq=1, id="another epoch")),
        "D: the history of ann was replaced",
    ),
    ("histories_only_grow", then(entry(What.GAP, text="1 to 7")), "D: ann was told of a gap"),
    (
        "handlers_run_once_in_a_process",
        then(entry(What.STARTED, id="ann-1", task="t", attempt=1)),
        "D: ann-1 began attempt 1 at t 2 times",
    ),
    (
        "handlers_run_once_in_a_process",
        then(*[entry(What.HEARD, id="ann-1", text="hello")] * 2),
        "D: ann-1 heard 'hello' 2 times",
    ),
    (
        "the_window_bounds_what_is_in_flight",
        then(*(event(seq) for seq in range(2, WINDOW + 3))),
        f"B: ann had {WINDOW + 1} events in flight",
    ),
    ("a_key_has_one_effect", then(answered(digest="u")), "I: 'a task' was answered with t and u"),
    (
        "a_key_has_one_effect",
        stored(tasks=[DONE, replace(DONE, id="u")]),
        "I: 'a task', asked for by 1 key, made 2 tasks",
    ),
    ("a_key_has_one_effect", without(What.ASKED), "I: 'a task', asked for by 0 key"),
    (
        "a_call_has_one_effect",
        then(ending(digest="another answer")),
        "I: call c was answered with DONE and another answer",
    ),
    (
        "a_call_has_one_effect",
        stored(messages=[("t", "hello"), ("t", "hello")]),
        "I: 'hello' was said once and stands 2 times",
    ),
]


def test_a_whole_history_is_green() -> None:
    assert violations(WHOLE) == []


@pytest.mark.parametrize(("rule", "bend", "message"), BENT, ids=[case[2] for case in BENT])
def test_a_bent_history_is_red(rule: str, bend: Bend, message: str) -> None:
    letter, judge = next((letter, one) for letter, one in RULES if one.__name__ == rule)
    found = [f"{letter}: {said}" for said in judge(bend(WHOLE))]
    assert any(re.search(message, said) for said in found), found


def test_every_rule_has_a_history_that_breaks_it() -> None:
    assert {rule for rule, _, _ in BENT} == {rule.__name__ for _, rule in RULES}


@pytest.mark.parametrize(
    "bend",
    [
        then(entry(What.REPLIED, id="d", kind="task_update", ok=False, digest="lease_lost")),
        then(ending(), event(), read("DONE")),
        then(replace(event(), status="withdrawn"), ending()),
    ],
    ids=["a refused call", "all said again", "the answer comes after the withdrawal"],
)
def test_what_may_happen_stays_green(bend: Bend) -> None:
    assert violations(bend(WHOLE)) == []
