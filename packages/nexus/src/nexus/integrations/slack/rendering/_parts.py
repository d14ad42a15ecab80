"""Where what somebody says becomes messages, as many as it takes."""

import json
from collections.abc import Sequence

from nexus.integrations.slack.rendering._buttons import Block, Part
from nexus.integrations.slack.rendering._split import split
from nexus.integrations.slack.rendering._text import fitted, neutral, readable

MAX_MARKDOWN = 11_500
"""What one message takes. Slack allows 12,000 characters in the markdown blocks of a message, and
refuses somewhat over 13,000 in all blocks with ``msg_blocks_too_long``."""

MAX_BLOCKS = 12_500
MAX_FALLBACK = 3000


def message_parts(
    text: str, *, then: Sequence[Block] = (), limit: int = MAX_MARKDOWN
) -> list[Part]:
    """Return the messages that say ``text``, which is markdown; the last ends with ``then``.

    Each has one markdown block of at most ``limit`` characters (200 at least). Nothing is lost:
    what is too long for one message goes on in the next. Calls to everybody have no effect.
    """
    pieces = [piece for piece in split(neutral(text), limit) if piece.strip()]
    parts = [_part(piece) for piece in pieces or ["_(blank)_"]]
    if not then:
        return parts
    last = parts[-1]
    full = Part(text=last.text, blocks=[*last.blocks, *then])
    if _size(full.blocks) <= MAX_BLOCKS:
        return [*parts[:-1], full]
    return [*parts, Part(text=last.text, blocks=list(then))]


def _part(markdown: str) -> Part:
    fallback = fitted(readable(markdown), MAX_FALLBACK) or fitted(markdown, MAX_FALLBACK)
    return Part(text=fallback, blocks=[{"type": "markdown", "text": markdown}])


def _size(blocks: Sequence[Block]) -> int:
    return len(json.dumps(blocks, ensure_ascii=False))
