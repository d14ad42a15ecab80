"""Where it is tested which functions may be handlers; the others are refused where they stand."""

import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from oblivion import (
    InvalidHandlerError,
    OblivionClient,
    TaskAssignedPayload,
    TaskAvailablePayload,
    WakeUpPayload,
)
from scripted_nexus import MakeClient

DECORATORS = (
    "on_task_assigned",
    "on_task_available",
    "on_task_cancelled",
    "on_context_update",
    "on_slack_message",
    "on_wake_up",
    "on_tool_result",
    "on_connected",
    "on_disconnected",
)


class Agent:
    async def method(self, payload: TaskAssignedPayload) -> None: ...

    async def __call__(self, payload: TaskAssignedPayload) -> None: ...


async def plain(payload: Any) -> None: ...


async def with_default(payload: Any, retries: int = 3) -> None: ...


async def with_rest(*args: Any, **options: Any) -> None: ...


def on_a_thread(payload: Any) -> None: ...


async def none() -> None: ...


async def two(payload: Any, task: Any) -> None: ...


async def keyword_only(*, payload: Any) -> None: ...


def yielding(payload: Any) -> Iterator[int]:
    yield 1


async def yielding_async(payload: Any) -> AsyncIterator[int]:
    yield 1


@pytest.fixture
def client() -> OblivionClient:
    return OblivionClient("http://localhost:3000", "my-agent", "s3cret")


@pytest.mark.parametrize("decorator", DECORATORS)
def test_every_decorator_returns_its_function_unchanged(
    client: OblivionClient, decorator: str
) -> None:
    assert getattr(client, decorator)(plain) is plain


@pytest.mark.parametrize(
    ("handler", "is_async"),
    [
        (plain, True),
        (with_default, True),
        (with_rest, True),
        (on_a_thread, False),
        (Agent().method, True),
        (Agent(), True),
        (functools.partial(two, task=1), True),
        (lambda payload: None, False),
        (print, False),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_what_takes_one_payload_may_be_a_handler(
    client: OblivionClient, handler: Any, is_async: bool
) -> None:
    client.on_task_assigned(handler)
    registered = client._handlers.get("task_assigned")
    assert registered is not None
    assert registered.is_async is is_async


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (None, "decorates a function, not NoneType: write @client.on_task_assigned"),
        ("handle", "not str"),
        (Agent, "not the class Agent"),
        (none, "none() -> None for on_task_assigned must take exactly one parameter"),
        (two, "two(payload: Any, task: Any) -> None for on_task_assigned must take exactly one"),
        (keyword_only, "must take exactly one parameter, the payload"),
        (yielding, "must not yield"),
        (yielding_async, "must not yield"),
    ],
    ids=lambda value: None if isinstance(value, str) else getattr(value, "__name__", str(value)),
)
def test_what_cannot_serve_is_refused_at_decoration(
    client: OblivionClient, handler: Any, says: str
) -> None:
    with pytest.raises(InvalidHandlerError) as caught:
        client.on_task_assigned(handler)
    assert says in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_connection_handlers_may_take_no_parameter_but_not_two(client: OblivionClient) -> None:
    client.on_connected(none)
    with pytest.raises(InvalidHandlerError, match="at most one parameter"):
        client.on_disconnected(two)  # type: ignore[type-var]  # wrong on purpose


def test_a_second_handler_for_the_same_event_is_refused(client: OblivionClient) -> None:
    client.on_wake_up(plain)
    with pytest.raises(InvalidHandlerError, match=r"on_wake_up has a handler already \(plain\)"):
        client.on_wake_up(on_a_thread)


async def test_handlers_are_registered_before_connect(make_client: MakeClient) -> None:
    client = make_client()
    await client.connect()
    with pytest.raises(InvalidHandlerError, match=r"before connect\(\)"):
        client.on_task_assigned(plain)
    await client.disconnect()
    client.on_task_assigned(plain)


def test_a_handler_for_another_event_is_refused(client: OblivionClient) -> None:
    async def wake(call: WakeUpPayload) -> None: ...

    with pytest.raises(
        InvalidHandlerError, match="takes a WakeUpPayload, but is called with a Task"
    ):
        client.on_task_assigned(wake)  # type: ignore[type-var] # pyright: ignore[reportArgumentType] - the mistake


def test_a_handler_for_what_two_events_share_serves_both(client: OblivionClient) -> None:
    async def look(task: TaskAvailablePayload) -> None: ...

    assert client.on_task_assigned(look) is look
    assert client.on_task_available(look) is look


def test_an_annotation_that_means_nothing_is_let_be(client: OblivionClient) -> None:
    async def look(task: Any) -> None: ...

    look.__annotations__["task"] = "NoSuchThing"
    assert client.on_task_assigned(look) is look
