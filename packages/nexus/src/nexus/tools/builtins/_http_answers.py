"""Where an answer to a request becomes what an agent is sent: text or JSON, never anything else."""

from collections.abc import Mapping
from typing import Any

import orjson

from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode

_SHOWN = (
    *("content-type", "etag", "last-modified", "link", "location", "retry-after"),
    *("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
)
_LONGEST_HEADER = 2_000
_TEXTS = frozenset({"ecmascript", "javascript", "json", "x-www-form-urlencoded", "xml", "yaml"})
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "windows-1252"})
"""Some others that Python knows take for ever on what was written for that."""


def is_text(kind: str) -> bool:
    """Say whether a media type is of text; of none at all it may be."""
    main, _, sub = kind.partition("/")
    return not kind or main == "text" or sub.rpartition("+")[2].removeprefix("x-") in _TEXTS


def headers_shown(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what an agent can use of an answer's headers; cookies and the like stay here."""
    return {name: headers[name][:_LONGEST_HEADER] for name in _SHOWN if name in headers}


def content(kind: str, charset: str | None, body: bytes) -> Any:
    """Return what an answer says: of JSON the value, else the text.

    Raises:
        ToolError: it is not text.
    """
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass  # then whatever it is may be read as text
    encoding = (charset or "utf-8").lower()
    try:
        if encoding in _CHARSETS:
            return body.decode(encoding)
    except UnicodeDecodeError:
        pass
    raise binary(kind)


def binary(kind: str) -> ToolError:
    """Return what is told of an answer that is not text."""
    said = f"the answer is binary ({kind[:80] or 'of no type'}), and agents are sent text alone"
    return ToolError(said, ToolCode.RESULT_REFUSED)
