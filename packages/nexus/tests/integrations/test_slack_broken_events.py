"""An event without what belongs into it ends at once and visibly, and keeps no other waiting."""

from typing import Any

from eventually import eventually
from slack_stage import Stage

EVENTS: list[dict[str, Any]] = [
    {"type": "message", "user": "U1", "text": "hi"},
    {"type": "message", "ts": "1.0", "text": "hi"},
    {"type": "message", "bot_id": "B1", "bot_profile": "x", "ts": "1.0", "text": "hi"},
    {"type": "message", "subtype": "message_changed"},
    {"type": "message", "subtype": "message_changed", "message": None},
    {"type": "message", "subtype": "message_deleted"},
    {"type": "message", "subtype": "message_deleted", "deleted_ts": 7},
    {"type": "message", "user": "U1", "ts": "yesterday", "text": "hi"},
    {"type": "message", "user": "U1", "ts": "1" * 99, "text": "hi"},
    {"type": "message", "user": "U1", "ts": 1.5, "text": "hi"},
    {"type": "message", "user": "U1", "ts": "1.0", "thread_ts": "x" * 99, "text": "hi"},
    {"type": "message", "user": "anna", "ts": "1.0", "text": "hi"},
    {"type": "message", "user": "U" * 99, "ts": "1.0", "text": "hi"},
    {"type": "message", "user": ["U1"], "ts": "1.0", "text": "hi"},
    {"type": "message", "user": "U1", "ts": "1.0", "text": "hi", "channel": "general"},
    {"type": "app_mention"},
    {"type": "channel_rename"},
    {"type": "channel_rename", "channel": {}},
    {"type": "channel_archive", "channel": None},
    {"type": "channel_unarchive", "channel": None},
    {"type": "channel_deleted", "channel": None},
]
"""Each is told of the project's channel, unless it says of which."""


async def test_what_is_broken_fails_and_what_follows_is_heard(on_stage: Stage) -> None:
    slack, admin = on_stage.slack, on_stage.nexus.admin
    for event in EVENTS:
        where = {"channel": on_stage.channel.id}
        told = {name: value for name, value in {**where, **event}.items() if value is not None}
        assert (await slack.send(slack.envelope(told))).status == 200
    await on_stage.anna.say(on_stage.channel, f"{slack.mention} Mend the login")
    await on_stage.card_of("Mend the login")

    async def all_ended() -> bool:
        pending = await admin.get("/observer/deliveries", box="slack-in", status="pending")
        return not pending["items"]

    await eventually(all_ended, what="no broken event is tried again")
    failed = await admin.get("/observer/deliveries", box="slack-in", status="failed")
    assert [one["error"][:18] for one in failed["items"]] == ["a field is missing"] * len(EVENTS)
