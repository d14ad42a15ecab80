"""Where differences are planted in the fake Nexus, to see its contract go red.

A pytest plugin: it plants the difference that ``PLANTED`` names, each with a test that must see it.
"""

import os
from collections.abc import Callable
from typing import Any

import pytest

from oblivion.protocol import TaskStatus
from oblivion.testing import _agents, _calls, _dispatch, _tasks, _threads

VARIABLE = "PLANTED"

Plant = Callable[[pytest.MonkeyPatch], None]


def _wide_window(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_agents, "WINDOW", 65)


def _forgets_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_agents.Agents, "acknowledge", lambda *_: None)


def _never_withdraws(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_agents.Event, "is_over", property(lambda _: lambda: False), raising=False)


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


PLANTS: dict[str, tuple[Plant, str]] = {
    "a window of 65": (_wide_window, "at_most_64"),
    "acknowledgements are ignored": (_forgets_nothing, "not_acknowledged_comes_again"),
    "what is over is not withdrawn": (_never_withdraws, "late_assignment"),
    "attempts do not count up": (_same_attempt, "lease_that_nobody_names"),
    "ended attempts may write": (_no_fence, "end_is_final"),
    "handing back uses up an attempt": (_uses_up, "handed_back_uses_up"),
    "leases last too long": (_long_lease, "lease_that_nobody_names"),
    "agents hear themselves": (_echo, "does_not_hear_itself"),
    "a call sent again acts again": (_acts_twice, "no_second_effect"),
    "answers do not unblock": (_stays_blocked, "unblocks_the_task"),
    "nobody hears who was first": (_tells_nobody, "who_was_first"),
}


def pytest_configure() -> None:
    """Plant what was asked for."""
    name = os.environ.get(VARIABLE)
    if name is not None:
        plant, _ = PLANTS[name]
        plant(pytest.MonkeyPatch())
