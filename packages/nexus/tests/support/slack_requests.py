"""Where tests get what Slack sends: callbacks of events, presses of buttons, and their bodies."""

import json
from typing import Any
from urllib.parse import urlencode

Json = dict[str, Any]
FORM = "application/x-www-form-urlencoded"


def callback(event_id: str = "Ev1", **event: Any) -> Json:
    """Return the callback of a message in ``C1``."""
    told = {"type": "message", "channel": "C1", "user": "U1", "text": "hello", "ts": "1.0", **event}
    return {
        "type": "event_callback",
        "api_app_id": "A1",
        "team_id": "T1",
        "event_id": event_id,
        "event": told,
    }


def press(action_ts: str = "2.0") -> Json:
    """Return a press of a button under a message in ``C1``."""
    return {
        "type": "block_actions",
        "team": {"id": "T1"},
        "user": {"id": "U1"},
        "container": {"type": "message", "channel_id": "C1", "message_ts": "1.0"},
        "actions": [{"action_id": "retry", "action_ts": action_ts, "value": "task"}],
    }


def form(payload: Json) -> bytes:
    """Return the body in which Slack sends a press."""
    return urlencode({"payload": json.dumps(payload)}).encode()
