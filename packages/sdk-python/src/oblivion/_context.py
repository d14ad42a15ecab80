"""Where a handler's code finds out which attempt it works for."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Handling:
    """What the running handler was called for: an attempt at a task, or another event."""

    event: str
    task_id: str | None = None
    attempt: int | None = None


_current: ContextVar[Handling | None] = ContextVar("oblivion_handling", default=None)


def current() -> Handling | None:
    """Return what the calling code handles, if a handler (or what it started) calls."""
    return _current.get()


@contextmanager
def handling(what: Handling) -> Generator[None]:
    """Mark the body, and the tasks and threads it starts, as the work of one handler."""
    token = _current.set(what)
    try:
        yield
    finally:
        _current.reset(token)
