"""Where mentions are read out of a message: ``@reviewer``, ``@code-reviewer``, ``@oblivion``."""

import re

APP_NAMES = frozenset({"oblivion", "nexus"})

_MENTION = re.compile(r"(?<![\w@/.])@([A-Za-z0-9][A-Za-z0-9_.-]*[A-Za-z0-9]|[A-Za-z0-9])")


def mentioned_names(text: str) -> frozenset[str]:
    """Return the names that ``text`` mentions, lower case, without the ``@``."""
    return frozenset(name.lower() for name in _MENTION.findall(text))


def handle_of(name: str) -> str:
    """Return how a display name is mentioned: ``Code Reviewer`` becomes ``code-reviewer``."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
