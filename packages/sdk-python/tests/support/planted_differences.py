"""Where differences are planted in the fake Nexus, to see its contract go red.

Each comes with the test of the contract that must see it.
"""

from collections.abc import Callable
from typing import Any

import pytest

from oblivion.protocol import EventType, MessageKind, TaskStatus
from oblivion.testing import _agents, _calls, _dispatch, _tasks, _threads

Plant = Callable[[pytest.MonkeyPatch], None]


def _wide_window(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_agents, "WINDOW", 65)


def _forgets_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_agents.Agents, "acknowledge", lambda *_: None)


def _never_withdraws(patch: pytest.MonkeyPatch) -> None:
    real = _agents.Event.envelope

    def envelope(self: _agents.Event) -> dict[str, Any]:
        return {name: said for name, said in real(self).items() if name != "withdrawn"}

    patch.setattr(_agents.Event, "envelope", envelope)


def _same_attempt(patch: pytest.MonkeyPatch) -> None:
    real = _tasks.Tasks.grant

    def grant(self: _tasks.Tasks, task: Any, agent: Any) -> None:
        task.attempt = 0
        real(self, task, agent)

    patch.setattr(_tasks.Tasks, "grant", grant)


def _no_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_tasks.Record, "is_held_by", lambda task, agent, _=None: task.holder is agent)


def _uses_up(patch: pytest.MonkeyPatch) -> None:
    real = _tasks.Tasks._move

    def move(self: _tasks.Tasks, task: Any, wish: Any) -> None:
        if wish.status is TaskStatus.TODO:
            self._end(task, "handed back", 1.0)
        else:
            real(self, task, wish)

    patch.setattr(_tasks.Tasks, "_move", move)


def _long_lease(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_tasks, "LEASE_SECONDS", 600.0)


def _echo(patch: pytest.MonkeyPatch) -> None:
    real = _threads.Threads._tell_holder

    def tell(self: _threads.Threads, task: Any, author: Any, message: Any) -> None:
        real(self, task, _threads.Author(id="", name=author.name, is_human=False), message)

    patch.setattr(_threads.Threads, "_tell_holder", tell)


def _acts_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_calls, "KEPT", frozenset())


def _stays_blocked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_tasks.Tasks, "resume", lambda *_: None)


def _tells_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_dispatch.Dispatcher, "_tell_gone", lambda *_: None)


def _progress_piles_up(patch: pytest.MonkeyPatch) -> None:
    def show(self: _threads.Threads, task: Any, agent: Any, wish: Any) -> None:
        author = _threads.Author(id=agent.id, name=agent.name, is_human=False)
        said = f"{wish.progress:.0%}: {wish.message}"
        task.thread.append(self._message(author, said, MessageKind.PROGRESS))

    patch.setattr(_threads.Threads, "show_progress", show)


def _hides_the_last_error(patch: pytest.MonkeyPatch) -> None:
    real = _tasks.Record.assignment
    hide = {"last_error": None}
    patch.setattr(_tasks.Record, "assignment", lambda task: real(task).model_copy(update=hide))


def _speaks_its_mind(patch: pytest.MonkeyPatch) -> None:
    real = _calls.Calls._think

    async def think(self: _calls.Calls, caller: Any, payload: dict[str, Any]) -> Any:
        task = self._tasks.find(payload["taskId"])
        author = _threads.Author(id=caller.agent.id, name="", is_human=False)
        self._threads.post(task, author, payload["thoughts"][0]["text"])
        return await real(self, caller, payload)

    patch.setattr(_calls.Calls, "_think", think)


def _thinks_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_calls, "KEPT", _calls.KEPT - {EventType.THINK})


def _loses_the_trace(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_tasks.Record, "traceparent", None)


PLANTS: dict[str, tuple[Plant, str]] = {
    "a window of 65": (_wide_window, "at_most_64_are_under_way"),
    "acknowledgements are ignored": (_forgets_nothing, "what_was_not_acknowledged_comes_again"),
    "what is over is not withdrawn": (_never_withdraws, "a_late_assignment_says_that_it_is_over"),
    "attempts do not count up": (_same_attempt, "a_lease_that_nobody_names_runs_out"),
    "ended attempts may write": (_no_fence, "a_call_that_is_sent_again_has_no_second_effect"),
    "handing back uses up an attempt": (_uses_up, "a_task_that_is_handed_back_uses_up_no_attempt"),
    "leases last too long": (_long_lease, "a_lease_that_nobody_names_runs_out"),
    "agents hear themselves": (_echo, "an_agent_does_not_hear_itself_but_others_do"),
    "a call sent again acts again": (_acts_twice, "a_call_that_is_sent_again_has_no_second_effect"),
    "answers do not unblock": (_stays_blocked, "a_person_is_heard_and_unblocks_the_task"),
    "nobody hears who was first": (_tells_nobody, "others_are_told_who_was_first"),
    "progress piles up": (
        _progress_piles_up,
        "progress_stands_in_the_thread_once_and_is_edited_there",
    ),
    "the last error is hidden": (
        _hides_the_last_error,
        "the_next_attempt_finds_what_was_said_and_why_it_was_needed",
    ),
    "thoughts are said aloud": (_speaks_its_mind, "thoughts_stand_in_the_trace_alone"),
    "thoughts come twice": (_thinks_twice, "thoughts_stand_in_the_trace_alone"),
    "events lie in no trace": (
        _loses_the_trace,
        "all_that_is_told_of_a_task_belongs_to_the_trace_it_was_made_in",
    ),
}
