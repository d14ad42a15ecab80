"""Where what Slack sends, by HTTP or over its socket, gets its name and its lane in the box."""

import logging
from collections.abc import Mapping
from typing import Any

from nexus.integrations.slack import boxes
from nexus.services.deliveries import Letter

EVENT = "event"
ACTION = "action"

_LONGEST_KEY = 255
_log = logging.getLogger("nexus.integrations.slack")


def of(payload: Mapping[str, Any], tenant_id: str) -> Letter | None:
    """Return what is to be seen to; None for what is none of ours, which the log tells.

    What Slack sends again has the same key: an event's id is unique within app and workspace
    (https://docs.slack.dev/apis/events-api/#receiving-events).
    """
    found = _named(payload)
    if found is None or len(found[1]) > _LONGEST_KEY:
        _log.info("slack_ignored type=%r", str(payload.get("type"))[:64])
        return None
    kind, key, lane = found
    return Letter(
        tenant_id=tenant_id, box=boxes.IN, key=key, lane=lane[:128], kind=kind, payload={**payload}
    )


def _named(payload: Mapping[str, Any]) -> tuple[str, str, str] | None:
    if payload.get("type") == "event_callback" and isinstance(payload.get("event"), Mapping):
        return _event(payload, payload["event"])
    if payload.get("type") == "block_actions":
        return _action(payload)
    return None


def _event(payload: Mapping[str, Any], event: Mapping[str, Any]) -> tuple[str, str, str] | None:
    if not isinstance(payload.get("event_id"), str):
        return None
    team = str(payload.get("team_id"))
    key = f"{payload.get('api_app_id')}:{team}:{payload['event_id']}"
    channel = event.get("channel")
    if not isinstance(channel, str):
        return EVENT, key, team
    gone = what_is_gone(event)
    return EVENT, key if gone is None else name_of_deletion(channel, gone), channel


def what_is_gone(event: Mapping[str, Any]) -> str | None:
    """Return which message an event says is deleted; None where it says nothing of the kind.

    Of one that has replies a stone stays in its place, which Slack tells as a change.
    """
    if event.get("type") != "message":
        return None
    message = event.get("message")
    gone: object = None
    if event.get("subtype") == "message_deleted":
        gone = event.get("deleted_ts")
    elif isinstance(message, Mapping) and message.get("subtype") == "tombstone":
        gone = message.get("ts")
    return gone if isinstance(gone, str) else None


def name_of_deletion(channel_id: str, ts: str) -> str:
    """Return the key of the letter that says that a message is deleted.

    It is named by what is gone, not by the event: a message that arrives after its own deletion is
    known to be gone, for Slack promises no order.
    """
    return f"deleted:{channel_id}:{ts}"


def _action(payload: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Name a press by who pressed what when: Slack gives it no id."""
    try:
        action = payload["actions"][0]
        pressed = (payload["user"]["id"], action["action_ts"], action["action_id"])
        channel = payload["container"]["channel_id"]
    except (KeyError, IndexError, TypeError):
        return None
    return ACTION, f"press:{':'.join(map(str, pressed))}", str(channel)
