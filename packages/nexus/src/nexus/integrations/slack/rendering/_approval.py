"""Where people see a tool call that waits for them, down to its last argument."""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nexus.integrations.slack.rendering._buttons import (
    Block,
    Part,
    Verb,
    actions,
    button,
    context,
    section,
    settled,
)
from nexus.integrations.slack.rendering._text import fitted, link, one_line, person

MAX_ARGUMENTS = 2500
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A tool call that waits; ``digest`` names its arguments, to which the approval is bound."""

    id: str
    agent: str
    tool: str
    action: str
    arguments: Mapping[str, Any]
    digest: str
    task: str | None = None
    url: str | None = None


def approval(call: Approval) -> Part:
    """Return the message that asks whether a tool call may be made.

    Arguments that are too long are cut, which the message says, with the digest of them all.
    """
    what = f"{fitted(one_line(call.tool), 200)} {fitted(one_line(call.action), 200)}"
    asks = f"{person(call.agent)} asks to use *{what}*"
    about = f" for {link(call.url, call.task)}" if call.task else ""
    exact = _seen(json.dumps(call.arguments, indent=2, ensure_ascii=False, default=str))
    blocks = [
        section(f":lock: {asks}{about}"),
        _preformatted(exact[:MAX_ARGUMENTS]),
        *([_note(exact, call.digest)] if len(exact) > MAX_ARGUMENTS else []),
        actions(
            button(Verb.APPROVE, "Approve", call.id, style="primary"),
            button(Verb.DENY, "Deny", call.id, style="danger"),
        ),
    ]
    return Part(text=f"{asks}: may it?", blocks=blocks)


def decided(part: Part, who: str, *, approved: bool, why: str | None = None) -> Part:
    """Return a message that asked, with who decided what in the place of its buttons."""
    verdict = ":white_check_mark: Approved" if approved else ":no_entry: Denied"
    reason = f": {fitted(why, 1000)}" if why else ""
    return settled(part, f"{verdict} by {person(who)}{reason}")


def _seen(text: str) -> str:
    """Return text in which nothing hides or turns around what else is there."""
    return "".join(
        f"\\u{ord(character):04x}"
        if unicodedata.category(character) in _UNSEEN and character != "\n"
        else character
        for character in text
    )


def _preformatted(text: str) -> Block:
    words = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text}]}
    return {"type": "rich_text", "elements": [words]}


def _note(exact: str, digest: str) -> Block:
    more = len(exact) - MAX_ARGUMENTS
    whole = f"All of them: `{fitted(digest, 200)}`"
    return context(f":scissors: {more:,} more characters are not shown here. {whole}")
