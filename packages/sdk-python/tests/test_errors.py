"""Where the error tree is held to its drawing, and every refusal to a place in it."""

import copy
import inspect
import pickle
import re

import pytest

import oblivion
from oblivion import errors
from oblivion._refusals import refused_call, refused_connect, refused_request, refused_token
from oblivion._socketio import _deepest
from oblivion.errors import CodedError, OblivionError
from oblivion.protocol import ErrorCode

CLASSES = [
    thing
    for _, thing in inspect.getmembers(errors, inspect.isclass)
    if issubclass(thing, OblivionError)
]


def drawn() -> dict[str, tuple[str | None, bool]]:
    """Read the drawing: each error with its parent, and whether it is retryable."""
    tree: dict[str, tuple[str | None, bool]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ((?:[|` ]   |[|`]-- )*)([A-Z]\w+)\s+(.*)", line)
        if match:
            depth = len(match[1]) // 4
            path[depth:] = [match[2]]
            parent = path[depth - 1] if depth else None
            tree[match[2]] = (parent, match[3].endswith("[retryable]"))
    return tree


def parent(kind: type[OblivionError]) -> str | None:
    """Return the parent in the drawing: the nearest base that is not only a helper."""
    bases = [b for b in kind.__mro__[1:] if issubclass(b, OblivionError) and b is not CodedError]
    return bases[0].__name__ if bases else None


def test_the_drawing_shows_the_tree_as_it_is() -> None:
    actual = {
        kind.__name__: (parent(kind), kind.retryable) for kind in CLASSES if kind is not CodedError
    }
    assert drawn() == actual


def test_every_error_is_public() -> None:
    missing = {kind.__name__ for kind in CLASSES} - set(oblivion.__all__) - {"CodedError"}
    assert missing == set()


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_survives_copying_and_pickling(kind: type[OblivionError]) -> None:
    error = kind("why", retryable=True)
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is kind
        assert (str(twin), twin.retryable) == ("why", True)


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_code_of_the_protocol_becomes_a_typed_error(code: ErrorCode) -> None:
    refusal = {"code": code.value, "message": "no", "retryable": False}
    called = refused_call({"error": refusal})
    assert called is not None
    assert called.code == code
    assert refused_connect({"message": "no", "data": refusal}).code == code


@pytest.mark.parametrize(
    "data",
    [
        {"message": "no", "data": {"code": "agent_pending", "message": "wait"}},
        {"code": "agent_pending", "message": "wait"},
        {"message": {"code": "agent_pending", "message": "wait"}},
    ],
)
def test_a_refused_connect_is_understood_wherever_servers_put_it(data: object) -> None:
    error = refused_connect(data)
    assert type(error) is errors.AgentPending
    assert str(error) == "wait"


@pytest.mark.parametrize("data", [None, "go away", 7, [], {}, {"message": "go away"}])
def test_a_refusal_of_no_known_form_may_pass(data: object) -> None:
    error = refused_connect(data)
    assert type(error) is errors.ConnectRefused
    assert error.retryable


@pytest.mark.parametrize("answer", [None, "ok", [], {}, {"error": "text"}, {"error": None}])
def test_an_answer_without_a_refusal_is_none(answer: object) -> None:
    assert refused_call(answer) is None


def test_a_token_answer_with_a_code_of_its_own_is_preferred_to_words() -> None:
    body = {"error": "invalid_client", "code": "agent_rejected", "error_description": "pending?"}
    assert type(refused_token(401, body)) is errors.AgentRejected


def test_the_reason_of_a_rejection_does_not_make_it_look_pending() -> None:
    body = {"error": "invalid_client", "error_description": "rejected: pending a review"}
    assert type(refused_token(401, body)) is errors.AgentRejected


@pytest.mark.parametrize("body", [None, "<html>", [], {"error": 7}])
def test_odd_answers_over_http_are_typed_too(body: object) -> None:
    assert isinstance(refused_token(400, body), errors.ConnectRefused)
    assert type(refused_request(404, body)) is errors.NotFound


def test_why_a_connect_failed_is_told_by_the_system_not_by_what_libraries_tried_before() -> None:
    refused, above = ConnectionRefusedError("connection refused"), OSError("cannot connect")
    refused.__context__ = RuntimeError("no running event loop")
    above.__cause__ = refused
    library = Exception("Connection error")
    library.__context__ = above
    assert _deepest(library) == "connection refused"
    assert _deepest(ValueError("of its own")) == "of its own"
