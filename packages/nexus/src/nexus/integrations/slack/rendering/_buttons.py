"""Where messages get their buttons, where a press is understood, and what remains after it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from nexus.integrations.slack.rendering._text import fitted, person, shortened

Block: TypeAlias = dict[str, Any]

MAX_LABEL = 75
MAX_BUTTONS = 25
MAX_SECTION = 3000
MAX_CONTEXT = 2000

_ACTION = re.compile(r"oblivion:([a-z]+)(?::[0-9]+)?")
_CHOICE = re.compile(r"(.+):([0-9]{1,3})")


class Verb(StrEnum):
    """What the buttons do."""

    CANCEL = "cancel"
    RETRY = "retry"
    CHOOSE = "choose"
    APPROVE = "approve"
    DENY = "deny"
    RESUME = "resume"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One message: ``blocks``, and ``text`` in mrkdwn for notifications and screen readers."""

    text: str
    blocks: list[Block]


@dataclass(frozen=True, kw_only=True)
class Press:
    """A button that somebody pressed: what it does, to what, and which choice of several."""

    verb: Verb
    target: str
    choice: int | None = None


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """What somebody is asked before a press counts."""

    title: str
    text: str
    confirm: str
    deny: str


def plain_text(text: str) -> Block:
    """Return text that Slack shows as it is."""
    return {"type": "plain_text", "text": text, "emoji": False}


def section(mrkdwn: str) -> Block:
    """Return a block of mrkdwn."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": mrkdwn}}


def context(mrkdwn: str) -> Block:
    """Return a small line."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": mrkdwn}]}


def actions(*buttons: Block) -> Block:
    """Return a row of buttons."""
    return {"type": "actions", "elements": list(buttons)}


def button(
    verb: Verb, label: str, value: str, *, style: str | None = None, doubt: Doubt | None = None
) -> Block:
    """Return a button; ``style`` is ``primary`` or ``danger``."""
    made: Block = {
        "type": "button",
        "action_id": f"oblivion:{verb}",
        "text": plain_text(shortened(label, MAX_LABEL)),
        "value": value,
    }
    if style is not None:
        made["style"] = style
    if doubt is not None:
        made["confirm"] = {
            "title": plain_text(doubt.title),
            "text": plain_text(doubt.text),
            "confirm": plain_text(doubt.confirm),
            "deny": plain_text(doubt.deny),
        }
    return made


def pressed(action: Mapping[str, Any]) -> Press | None:
    """Read one of the ``actions`` of an interaction; None when the button is none of ours."""
    name = _ACTION.fullmatch(str(action.get("action_id")))
    value = action.get("value")
    if name is None or name[1] not in set(Verb) or not isinstance(value, str) or not value:
        return None
    verb = Verb(name[1])
    if verb is not Verb.CHOOSE:
        return Press(verb=verb, target=value)
    choice = _CHOICE.fullmatch(value)
    return choice and Press(verb=verb, target=choice[1], choice=int(choice[2]))


def choices(question_id: str, options: Sequence[str]) -> list[Block]:
    """Return the buttons that answer a question; where one is too short for its text, a list too.

    Which option a press chose, its :attr:`Press.choice` says, from 0.
    """
    offered = list(options[:MAX_BUTTONS])
    numbered = [f"{n}. {option}" for n, option in enumerate(offered, 1)]
    fit = all(len(option) <= MAX_LABEL for option in offered)
    row = actions()
    for nth, label in enumerate(offered if fit else numbered):
        made = button(Verb.CHOOSE, label, f"{question_id}:{nth}")
        row["elements"].append({**made, "action_id": f"oblivion:{Verb.CHOOSE}:{nth}"})
    return [*([] if fit else _listed(numbered)), row, context(_FREELY)]


_FREELY = "Choose one, or answer in your own words in this thread."


def _listed(lines: list[str]) -> list[Block]:
    """Pack lines into as few sections as hold them."""
    pages = [""]
    for line in lines:
        if len(pages[-1]) + len(line) + 1 > MAX_SECTION:
            pages.append("")
        pages[-1] += f"{line}\n"
    return [{"type": "section", "text": plain_text(page)} for page in pages]


def settled(part: Part, line: str) -> Part:
    """Return a message without its buttons, and with a line in mrkdwn that says why.

    Its blocks may be those that Slack returned, which has added to them.
    """
    kept = [block for block in part.blocks if not _invites(block)]
    return Part(text=part.text, blocks=[*kept, context(line)])


def _invites(block: Block) -> bool:
    """Say whether a block asks for an answer."""
    said = [element.get("text") for element in block.get("elements", [])]
    return block.get("type") == "actions" or said == [_FREELY]


def answered(part: Part, who: str, what: str) -> Part:
    """Return a question with who chose what in the place of its buttons."""
    return settled(part, f":white_check_mark: {person(who)} chose *{fitted(what, 1000)}*")


def paused(line: str, agent_id: str) -> Part:
    """Return the message that says that an agent is paused, for whoever wants it to go on."""
    go_on = actions(button(Verb.RESUME, "Show it again", agent_id))
    return Part(text=line, blocks=[section(line), go_on])
