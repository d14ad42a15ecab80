"""Where the envelope lives that every event and call travels in."""

import re
from datetime import datetime
from typing import Any

from pydantic import Field

from oblivion.protocol._base import Timestamp, WireModel, format_timestamp

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
)


class Envelope(WireModel):
    """One event or call: ``id`` makes it idempotent, ``seq`` numbers durable events per agent.

    ``withdrawn`` marks a ``task_assigned`` that is sent late and whose attempt is over;
    ``traceparent`` is the trace that it belongs to.
    """

    type: str
    payload: dict[str, Any] = Field(default_factory=dict)
    timestamp: Timestamp | None = None
    id: str | None = None
    seq: int | None = Field(default=None, ge=1)
    traceparent: str | None = None
    withdrawn: bool | None = None


def wrap(
    type_: str,
    payload: WireModel | dict[str, Any],
    now: datetime,
    *,
    id_: str | None = None,
    seq: int | None = None,
    withdrawn: bool = False,
) -> dict[str, Any]:
    """Return the wire form of an envelope around ``payload``."""
    body = payload.to_wire() if isinstance(payload, WireModel) else payload
    envelope: dict[str, Any] = {
        "type": str(type_),
        "payload": body,
        "timestamp": format_timestamp(now),
    }
    if id_ is not None:
        envelope["id"] = id_
    if seq is not None:
        envelope["seq"] = seq
    if withdrawn:
        envelope["withdrawn"] = True
    return envelope


def trace_of(said: str | None) -> str | None:
    """Return the ``traceparent`` that somebody sent; None for what is none.

    Source: https://www.w3.org/TR/trace-context/#traceparent-header
    """
    found = _TRACEPARENT.fullmatch(said or "")
    return None if found is None else found[0]
