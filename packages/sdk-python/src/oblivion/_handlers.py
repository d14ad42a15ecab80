"""Where handlers are registered, after a look at whether they can serve."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oblivion._busy import BusyPolicy
from oblivion.errors import InvalidHandlerError
from oblivion.protocol import EventType, WireModel


@dataclass(frozen=True, slots=True)
class Handler:
    """A registered function and how it wants to be called."""

    function: Callable[..., Any]
    is_async: bool
    takes_value: bool

    def call(self, value: object) -> Any:
        """Call the function; the result of an async one is to be awaited."""
        return self.function(value) if self.takes_value else self.function()


class Handlers:
    """The handlers of one client, at most one per event."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._frozen = False

    def register(
        self, event: str, function: Callable[..., Any], payload: type, *, bare: bool = False
    ) -> None:
        """Keep ``function`` for ``event`` with its ``payload``; ``bare``: it may take no parameter.

        Raises:
            InvalidHandlerError: it is not callable, takes the wrong parameters, the event has a
                handler already, or the client is connected.
        """
        handler = _inspect(event, function, bare=bare)
        _refuse_other_payload(event, function, payload)
        if self._frozen:
            raise InvalidHandlerError(f"register the handler for on_{event} before connect()")
        if event in self._handlers:
            other = _name(self._handlers[event].function)
            raise InvalidHandlerError(
                f"on_{event} has a handler already ({other}): call one function from the other"
            )
        self._handlers[event] = handler

    def get(self, event: str) -> Handler | None:
        """Return the handler for ``event``, if there is one."""
        return self._handlers.get(event)

    def check_reachable(self, on_busy: BusyPolicy) -> None:
        """Refuse a task handler that cannot be steered or interrupted as the client asks for.

        Raises:
            InvalidHandlerError: it is a plain function, on a thread of its own.
        """
        handler = self._handlers.get(EventType.TASK_ASSIGNED)
        if on_busy in {"steer", "interrupt"} and handler is not None and not handler.is_async:
            raise InvalidHandlerError(
                f"on_busy={on_busy!r} needs an async handler for on_task_assigned: write "
                f"async def {_name(handler.function)}(...), for a thread cannot be reached"
            )

    def freeze(self, frozen: bool) -> None:
        """Refuse (or accept) further handlers: Nexus was told what this agent can do."""
        self._frozen = frozen


def _inspect(event: str, function: object, *, bare: bool) -> Handler:
    if not callable(function) or inspect.isclass(function):
        raise InvalidHandlerError(
            f"on_{event} decorates a function, not {_describe(function)}: "
            f"write @client.on_{event} directly above the def, without parentheses"
        )
    if _is(inspect.isgeneratorfunction, function) or _is(inspect.isasyncgenfunction, function):
        raise InvalidHandlerError(f"the handler {_name(function)} for on_{event} must not yield")
    is_async = _is(inspect.iscoroutinefunction, function)
    return Handler(function, is_async, takes_value=_takes_value(event, function, bare=bare))


def _takes_value(event: str, function: Callable[..., Any], *, bare: bool) -> bool:
    try:
        signature = inspect.signature(function)
    except ValueError:
        return True
    if _binds(signature, object()):
        return True
    if bare and _binds(signature):
        return False
    wanted = "at most one parameter" if bare else "exactly one parameter, the payload"
    raise InvalidHandlerError(
        f"the handler {_name(function)}{signature} for on_{event} must take {wanted}"
    )


def _refuse_other_payload(event: str, function: Callable[..., Any], payload: type) -> None:
    """Refuse a function whose annotation says that it is for another event."""
    wanted = _annotation(function)
    if (
        inspect.isclass(wanted)
        and issubclass(wanted, WireModel)
        and not issubclass(payload, wanted)
    ):
        raise InvalidHandlerError(
            f"the handler {_name(function)} for on_{event} takes a {wanted.__name__}, but is "
            f"called with a {payload.__name__}: is it for another event?"
        )


def _annotation(function: Callable[..., Any]) -> object:
    """Return the type of the first parameter; None where there is none, or none that is known."""
    try:
        parameters = inspect.signature(function, eval_str=True).parameters
    except Exception:  # noqa: BLE001 - an annotation may be any code, and is none of our business
        return None
    first = next(iter(parameters.values()), None)
    return None if first is None else first.annotation


def _binds(signature: inspect.Signature, *arguments: object) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _is(question: Callable[[object], bool], function: object) -> bool:
    """Ask about a function, or about the ``__call__`` of an object."""
    return question(function) or question(inspect.getattr_static(function, "__call__", None))


def _name(function: object) -> str:
    return str(getattr(function, "__qualname__", None) or repr(function))


def _describe(thing: object) -> str:
    return f"the class {_name(thing)}" if inspect.isclass(thing) else f"{type(thing).__name__}"
