"""Where values become JSON, or are refused with the reason before anything is sent."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from pydantic_core import PydanticSerializationError, to_jsonable_python

from oblivion.errors import InvalidArgument, InvalidArgumentType
from oblivion.protocol import MAX_FRAME_BYTES

_FRAME_MARGIN = 256
"""Room that the event's name and Socket.IO's own marks take in a frame."""

SMALL_BYTES = 16 * 1024

_BINARY = (bytes, bytearray, memoryview)

_COMPACT = (",", ":")


def to_json(name: str, value: object) -> Any:
    """Return ``value`` as plain JSON data.

    Pydantic models, dataclasses, datetimes, UUIDs, enums, sets and the like become what pydantic
    makes of them. Bytes, NaN and infinities, cycles and other objects are refused.

    Raises:
        InvalidArgument: the value has no place in JSON; ``name`` and the type are in the message.
    """
    try:
        _refuse_bytes(name, value)
        plain = to_jsonable_python(value, by_alias=False, inf_nan_mode="constants")
        json.dumps(plain, allow_nan=False).encode()
    except RecursionError:
        raise InvalidArgument(f"{name} is nested too deeply, or contains itself") from None
    except PydanticSerializationError as error:
        raise InvalidArgumentType(f"{name} cannot be written as JSON: {error}") from None
    except ValueError as error:
        raise InvalidArgument(f"{name} cannot be written as JSON: {error}") from None
    return plain


def small_json(name: str, value: object) -> Any:
    """Return ``value`` as plain JSON data, which takes 16 KiB at most.

    Raises:
        InvalidArgument: it has no place in JSON, or takes more.
    """
    plain = to_json(name, value)
    size = len(json.dumps(plain, separators=_COMPACT))
    if size > SMALL_BYTES:
        raise InvalidArgument(f"{name} takes {size} bytes, of at most {SMALL_BYTES}: send less")
    return plain


def as_object(value: object) -> dict[str, Any]:
    """Return ``value`` if it is a JSON object, an empty one otherwise."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def check_frame(name: str, envelope: Mapping[str, Any]) -> None:
    """Raise InvalidArgument if the envelope would not fit into one frame."""
    size = len(json.dumps(envelope, separators=_COMPACT)) + _FRAME_MARGIN
    if size > MAX_FRAME_BYTES:
        raise InvalidArgument(
            f"{name} takes {size} bytes; a frame holds at most {MAX_FRAME_BYTES}: send less, "
            "or store the data elsewhere and send a link"
        )


def _refuse_bytes(name: str, value: object) -> None:
    kind = type(value).__name__
    if isinstance(value, _BINARY):
        raise InvalidArgumentType(
            f"{name} contains binary data ({kind}): decode it to a string first"
        )
    for member in _members(value):
        _refuse_bytes(name, member)


def _members(value: object) -> list[object]:
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value)
        return [*pairs.keys(), *pairs.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return list(cast("Iterable[object]", value))
    return []
