"""Where answers are written: JSON as the wire models say it, absent optionals left out."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from starlette.responses import Response

from oblivion.protocol import WireModel


class Json(Response):
    """A body of ready JSON values."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return ``content`` as UTF-8 JSON."""
        return orjson.dumps(content)


def answer(
    value: WireModel | Sequence[WireModel] | Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return ``value`` as the wire shows it: an object, or a list of objects."""
    return Json(_wire(value), status_code=status, headers=headers)


def empty() -> Response:
    """Return the answer that has nothing to say but that it is done."""
    return Response(status_code=204)


def _wire(value: WireModel | Sequence[WireModel] | Mapping[str, Any]) -> Any:
    if isinstance(value, WireModel):
        return value.to_wire()
    if isinstance(value, Mapping):
        return value
    return [item.to_wire() for item in value]
