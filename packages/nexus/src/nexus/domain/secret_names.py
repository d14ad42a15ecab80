"""Where settings name secrets, by ``${secret:NAME}``, and get them in the place of that. Pure."""

import re
from collections.abc import Iterable, Mapping

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
_REFERENCE = re.compile(rf"\$\{{secret:({NAME})\}}")
_ATTEMPT = re.compile(r"\$\{secret:[^}]*\}?")


def names_in(texts: Iterable[str]) -> set[str]:
    """Return the names of the secrets that texts refer to."""
    return {name for text in texts for name in _REFERENCE.findall(text)}


def refuse_misspelled(texts: Iterable[str]) -> None:
    """Refuse what was meant to name a secret, and does not.

    Raises:
        ValueError: the message says which text.
    """
    for text in texts:
        for attempt in _ATTEMPT.findall(text):
            if not _REFERENCE.fullmatch(attempt):
                raise ValueError(f"{attempt} names no secret; write ${{secret:NAME}}")


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return a text with secrets in the place of their names; all have to be among the values."""
    return _REFERENCE.sub(lambda found: values[found[1]], text)
