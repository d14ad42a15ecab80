"""Where pages get their look: templates that escape whatever they show, and words for people."""

import hashlib
import secrets
import unicodedata
from collections.abc import Collection
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nexus import __version__
from nexus.domain.redaction import without_secrets
from nexus.domain.tool_calls import CallState

STATUS_WORDS = {
    "TODO": "Waiting",
    "CLAIMED": "Claimed",
    "IN_PROGRESS": "Running",
    "BLOCKED_ON_HUMAN": "Needs a person",
    "DONE": "Done",
    "FAILED": "Failed",
    "CANCELLED": "Cancelled",
}
POLICY_WORDS = {
    "assign": "Nexus assigns tasks",
    "claim": "agents claim tasks",
}
PRIORITY_WORDS = {1: "Urgent", 2: "High", 3: "Normal", 4: "Low"}

CONNECTION_WORDS = {
    "offline": "Offline",
    "connected": "Connected",
    "idle": "Idle",
    "working": "Working",
    "error": "In error",
}
STANDING_WORDS = {
    "online": "Online",
    "working": "Working",
    "error": "In error",
    "offline": "Offline",
    "pending": "Asks to join",
    "rejected": "Turned away",
    "banned": "Banned",
}

SAID = {
    "created": "The task is stored. It goes to the next agent that fits.",
    "cancelled": "Cancelled. A running handler is being stopped.",
    "retried": "The task waits again, with a fresh set of attempts.",
    "changed": "Changed.",
    "spoken": "Said. The agent hears it.",
    "call-approved": "Approved. Exactly this call is made now.",
    "call-denied": "Denied. The agent is told.",
    "delivery-retried": "It is tried again, before all that came after it.",
    "agent-resumed": "What the agent says is shown in Slack again.",
    "rule-added": "The rule holds from now on.",
    "rule-removed": "Removed. What it allowed is allowed no more.",
    "approved": "Approved. The agent may connect.",
    "rejected": "Rejected. The agent is told when it asks.",
    "woken": "The agent is called.",
    "disconnected": "Disconnected. The agent may come back.",
    "banned": "Banned. Its session has ended, and what it held goes to others.",
    "unbanned": "Let in again.",
    "logged-out": "Logged out. Its tokens are void; its secret gets it new ones.",
    "group-made": "The group is there. Give it agents, and a project for their work.",
    "project-made": "The project is there. Give it tasks.",
    "token-shown-before": "This token was made already, and shown then. Revoke it for another.",
    "shown-before": "This was done already, and its secret was shown then. Rotate it for another.",
    "joined": "The agent is a member now.",
    "removed": "The agent is no member any more.",
    "archived": "Archived. Nothing was deleted.",
    "revoked": "Revoked. It lets nobody in any more.",
    "stopped": "All agents are stopped.",
    "resumed": "Agents may work again. They come back by themselves.",
}
"""What pages may be asked to say after an act, by the word in the address."""


NAVIGATION = (
    ("/", "overview", "Overview", "o"),
    ("/ui/tasks", "tasks", "Tasks", "t"),
    ("/ui/board", "board", "Board", "b"),
    ("/ui/agents", "agents", "Agents", "a"),
    ("/ui/groups", "groups", "Groups", "g"),
    ("/ui/projects", "projects", "Projects", "p"),
    ("/ui/activity", "activity", "Activity", "f"),
    ("/ui/tools", "tools", "Tools", "l"),
    ("/ui/audit", "audit", "Audit", "u"),
    ("/ui/slack", "slack", "Slack", "s"),
    ("/ui/health", "health", "Health", "h"),
)
"""All places, with their icons and the keys that lead there after ``g``; open ones are shown."""


class Look:
    """The templates and what they may use."""

    def __init__(self, addresses: Collection[str]) -> None:
        self._templates = Environment(
            loader=PackageLoader("nexus.observer"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._place = secrets.token_hex(8)
        self._templates.filters.update(
            exact=exact,
            iso=iso,
            length_of=length_of,
            pretty=pretty,
            to_the_letter=to_the_letter,
            capitalize_first=lambda text: text[:1].upper() + text[1:],
            safe_text=without_secrets,
            status_word=lambda status: STATUS_WORDS.get(status, status),
            priority_word=lambda priority: PRIORITY_WORDS.get(priority, str(priority)),
        )
        self._templates.globals.update(
            version=__version__,
            stamp=_stamp(),
            navigation=[place for place in NAVIGATION if place[0] in addresses],
            said_words=SAID,
            once=lambda: self._place + secrets.token_hex(8),
            ago=ago,
            statuses=STATUS_WORDS,
            priorities=PRIORITY_WORDS,
            call_states=[str(state) for state in CallState],
            connection_words=CONNECTION_WORDS,
            standings=STANDING_WORDS,
            policies=POLICY_WORDS,
        )

    def render(self, template: str, **shown: Any) -> str:
        """Return a page with what it shows; its forms are of this one page alone."""
        page = self._templates.get_template(template).render(shown)
        return page.replace(self._place, secrets.token_hex(8))

    def part(self, template: str, **shown: Any) -> Markup:
        """Return a part that may be rendered into many pages."""
        return Markup(self._templates.get_template(template).render(shown))  # noqa: S704 - escaped


def _stamp() -> str:
    """Return what changes with the files that browsers keep."""
    static = files("nexus.observer") / "static"
    parts = [part.read_bytes() for part in sorted(static.iterdir(), key=lambda part: part.name)]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]


def moment(time: datetime | int) -> datetime:
    """Return a time, also one in epoch milliseconds, as a datetime in UTC."""
    return datetime.fromtimestamp(time / 1000, UTC) if isinstance(time, int) else time


def exact(time: datetime | int) -> str:
    """Write a time as exactly as it is known."""
    return moment(time).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def iso(time: datetime | int) -> str:
    """Write a time for machines."""
    return moment(time).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def ago(time: datetime | int, now: int) -> str:
    """Write how long ago a time was, or in how long it will be."""
    seconds = now / 1000 - moment(time).timestamp()
    if abs(seconds) < 1:
        return "now"
    words = _whole(abs(seconds))
    return f"{words} ago" if seconds > 0 else f"in {words}"


def _whole(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def length_of(milliseconds: float) -> str:
    """Write how long something took."""
    seconds = milliseconds / 1000
    if seconds < 1:
        return f"{milliseconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def pretty(value: Any) -> str:
    """Write a JSON value for people: a text as it is, all else with its lines indented."""
    if isinstance(value, str):
        return value
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def to_the_letter(value: Any) -> str:
    """Write a JSON value as it is, with JSON's own escapes for what nobody could see.

    So that nothing hides before the eyes of whoever approves it: a sign that turns the direction of
    writing, for one.
    """
    return "".join(map(_visible, orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()))


def _visible(sign: str) -> str:
    hidden = unicodedata.category(sign) in {"Cc", "Cf", "Co", "Zl", "Zp"} and sign != "\n"
    return _escaped(sign) if hidden else sign


def _escaped(sign: str) -> str:
    """Write a sign as JSON escapes it (RFC 8259): in UTF-16, each half by four digits."""
    halves = sign.encode("utf-16-be")
    return "".join(f"\\u{halves[at : at + 2].hex()}" for at in range(0, len(halves), 2))
