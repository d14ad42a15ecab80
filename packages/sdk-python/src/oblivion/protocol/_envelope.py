"""Where the envelope lives that every event and call travels in."""

from datetime import datetime
from typing import Any

from pydantic import Field

from oblivion.protocol._base import Timestamp, WireModel, format_timestamp


class Envelope(WireModel):
    """One event or call: ``id`` makes it idempotent, ``seq`` numbers durable events per agent.

    ``withdrawn`` marks a ``task_assigned`` that is sent late and whose attempt is over.
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
