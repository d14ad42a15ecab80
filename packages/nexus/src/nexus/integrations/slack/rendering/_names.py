"""Where channels get their names."""

import hashlib
import re

MAX_NAME = 80
_HASH = 8


def group_channel(slug: str) -> str:
    """Return the name of a group's channel."""
    return _valid(f"oblivion-group-{slug}")


def project_channel(group_slug: str, project_slug: str) -> str:
    """Return the name of a project's channel; the underscore keeps it apart from a group's."""
    return _valid(f"oblivion-{group_slug}_{project_slug}")


def _valid(name: str) -> str:
    """Return a name that Slack takes: lower-case letters, digits, ``-``, ``_``, 80 at most.

    One that had to be changed ends with ``__`` and a hash of what it was; no slug has ``__``.
    """
    plain = re.sub(r"[^a-z0-9_-]", "-", name.lower())
    if plain == name and len(name) <= MAX_NAME:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:_HASH]
    return f"{plain[: MAX_NAME - _HASH - 2]}__{digest}"
