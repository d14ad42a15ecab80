"""Where the boxes of Slack and the kinds of what they hold have their names."""

from typing import Any

from nexus.services import deliveries
from nexus.services.deliveries import Letter
from nexus.store.tx import Row, Tx

IN = "slack-in"
OUT = "slack-out"

GAP_MS = 1_000
"""Slack takes about one message a second for each channel (its rate limits)."""

CHANNEL = "channel"
"""A group or project gets its channel."""
TOPIC = "topic"
"""It says what a channel is for."""
CLOSED = "closed"
"""The channel of an archived one is archived."""
CARD = "card"
"""A task is shown as it stands: at first that is the root of its thread."""
MESSAGE = "message"
"""A message of a thread is shown."""
CHANGED = "changed"
"""A message that is shown was edited or deleted."""
LINE = "line"
"""The app itself says something in a thread."""
WHISPER = "whisper"
"""Whoever pressed a button is told something alone."""
HEARD = "heard"
"""A message gets an eyes reaction: it was heard."""
APPROVAL = "approval"
"""People are asked whether a tool may be used."""
DECIDED = "decided"
"""They see who decided that."""
CHOSEN = "chosen"
"""Buttons give way to who pressed which."""


def lane_of(task: Row) -> str:
    """Return the lane of what is said about a task: its project's, whose channel has one pace."""
    return str(task["project_id"])


def cards_lane(task: Row) -> str:
    """Return the lane of a task's card: its first showing is a message like any, later ones not."""
    lane = lane_of(task)
    return lane if task["slack_card_ts"] is None else f"{lane}:cards"


def show(tx: Tx, task: Row, why: str) -> None:
    """Have a task shown as it is when its turn comes; one that waits to be shown waits for all.

    ``why`` names what there is to show.
    """
    if not deliveries.pending(tx, OUT, kind=CARD, task_id=task["id"]):
        _post_card(tx, task, why, cards_lane(task))


def begin_anew(tx: Tx, task: Row, why: str) -> None:
    """Have a task shown by a new root; its old one is gone, which ``why`` names.

    Only what is in the lane of its project posts a root: so it is posted once.
    """
    _post_card(tx, task, f"anew:{why}", lane_of(task))


def _post_card(tx: Tx, task: Row, why: str, lane: str) -> None:
    letter = Letter(
        tenant_id=task["tenant_id"],
        box=OUT,
        key=f"{CARD}:{task['id']}:{why}",
        lane=lane,
        kind=CARD,
        payload={},
        task_id=task["id"],
    )
    deliveries.post(tx, letter)


def speak(tx: Tx, tenant_id: str, *, key: str, lane: str, kind: str = LINE, **payload: Any) -> None:
    """Have the app say something at once, before what waits in that lane."""
    letter = Letter(
        tenant_id=tenant_id,
        box=OUT,
        key=f"{kind}:{key}",
        lane=lane,
        kind=kind,
        payload=payload,
        urgent=True,
    )
    deliveries.post(tx, letter)
