"""How tasks and what is said about them look in Slack: pure, from values to Block Kit.

Limits are those of Slack's pages on [blocks](https://docs.slack.dev/reference/block-kit/blocks).
"""

from nexus.integrations.slack.rendering._approval import Approval, approval, decided
from nexus.integrations.slack.rendering._buttons import (
    Block,
    Part,
    Press,
    Verb,
    answered,
    choices,
    paused,
    pressed,
    settled,
)
from nexus.integrations.slack.rendering._card import TaskCard, card
from nexus.integrations.slack.rendering._icons import icon_for
from nexus.integrations.slack.rendering._names import group_channel, project_channel
from nexus.integrations.slack.rendering._parts import message_parts
from nexus.integrations.slack.rendering._text import escape, link, neutral, person, shortened

__all__ = [
    "Approval",
    "Block",
    "Part",
    "Press",
    "TaskCard",
    "Verb",
    "answered",
    "approval",
    "card",
    "choices",
    "decided",
    "escape",
    "group_channel",
    "icon_for",
    "link",
    "message_parts",
    "neutral",
    "paused",
    "person",
    "pressed",
    "project_channel",
    "settled",
    "shortened",
]
