"""Where secrets are taken out of whatever is kept or shown: by names, by forms, or by value."""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

HIDDEN = "[redacted]"

_NAMES = re.compile(
    r"(secret|token|password|passwd|passphrase|credential|authorization|cookie|api[_-]?key"
    r"|private[_-]?key|pepper|database[_-]?url)s?$",
    re.IGNORECASE,
)
_FORMS = re.compile(
    r"\b(?:obv|reg)_[A-Za-z0-9_-]{20,}"  # what Nexus makes
    r"|\b(?:xox[a-z]|xapp|xwfp)-[A-Za-z0-9-]{10,}"  # what Slack makes
    r"|\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*"  # a JWT
    r"|(?<=\bBearer )[^\s\"',]+|(?<=\bBasic )[A-Za-z0-9+/=]{8,}"  # a header
    r"|(?<=[?&]token=)[^&\s\"']+"  # an older client's handshake
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)",  # an address with a password
    re.IGNORECASE,
)
_LONGEST_TEXT = 200
_LONG_LINE = 16
_MOST_ITEMS = 20
_DEEPEST = 4


def without_secrets(text: str) -> str:
    """Return a text with a stand-in for whatever has the form of a secret."""
    return _FORMS.sub(HIDDEN, text)


class KnownSecrets:
    """Secrets that this process was given for its tools; it learns further ones as it goes."""

    def __init__(self, *secrets: str) -> None:
        self._secrets: frozenset[str] = frozenset()
        # The longest first, for one may be a part of another.
        self._spellings: Sequence[str] = ()
        self.add(*secrets)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._secrets)})"

    def __iter__(self) -> Iterator[str]:
        return iter(self._spellings)

    def add(self, *secrets: str) -> None:
        """Have these hidden from now on."""
        fresh = self._secrets.union(filter(None, secrets))
        if fresh != self._secrets:
            self._secrets = fresh
            spelled = {spelling for secret in fresh for spelling in _spellings(secret)}
            self._spellings = sorted(spelled, key=len, reverse=True)

    def hide(self, text: str) -> str:
        """Return a text with a stand-in for each of them."""
        for spelling in self._spellings:
            text = text.replace(spelling, HIDDEN)
        return text


def _spellings(secret: str) -> Iterator[str]:
    """Yield a secret as it is, in an address, in base64, and line by line."""
    yield secret
    yield quote(secret, safe="")
    yield base64.b64encode(secret.encode()).decode()
    yield from (line for line in secret.splitlines() if len(line) >= _LONG_LINE)


def is_secret(name: str) -> bool:
    """Say whether what goes by this name is not to be shown."""
    return _NAMES.search(name) is not None


def summary(value: Any, depth: int = 0) -> Any:
    """Return a JSON value without secrets, and short: long texts, lists and depths are cut."""
    if isinstance(value, str):
        return _short(without_secrets(value))
    if isinstance(value, Mapping):
        return _object(value, depth)
    if isinstance(value, Sequence):
        return _list(value, depth)
    return value if value is None or isinstance(value, bool | float) else _number(value)


def _short(text: str) -> str:
    if len(text) <= _LONGEST_TEXT:
        return text
    return f"{text[:_LONGEST_TEXT]}... ({len(text)} characters)"


def _object(value: Mapping[str, Any], depth: int) -> Any:
    if depth == _DEEPEST:
        return f"({len(value)} fields)"
    kept = list(value.items())[:_MOST_ITEMS]
    return {
        _short(without_secrets(name)): HIDDEN if is_secret(name) else summary(inner, depth + 1)
        for name, inner in kept
    }


def _list(value: Sequence[Any], depth: int) -> Any:
    if depth == _DEEPEST:
        return f"({len(value)} items)"
    more = [f"(and {len(value) - _MOST_ITEMS} more)"] if len(value) > _MOST_ITEMS else []
    return [summary(inner, depth + 1) for inner in value[:_MOST_ITEMS]] + more


def _number(value: Any) -> Any:
    return value if isinstance(value, int) and abs(value) < 2**53 else str(value)
