"""Where JSON values from strangers are judged: of bounded depth, without what databases refuse."""

from collections.abc import Iterable
from typing import Any

from nexus.domain.errors import Invalid

MAX_DEPTH = 64


def is_too_deep(value: Any, text: bytes | None = None) -> bool:
    """Say whether a value is nested deeper than 64 levels; does not recurse.

    ``text`` is the JSON that it was read from: where fewer brackets open, nobody need look.
    """
    if text is not None and text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False
    level = _containers([value])
    for _ in range(MAX_DEPTH):
        if not level:
            return False
        level = [inner for outer in level for inner in _containers(_inside(outer))]
    return bool(level)


def may_hold_nul(text: bytes) -> bool:
    """Say whether a NUL character may be in a JSON text, where it can only stand escaped."""
    return b"\\u0000" in text


def refuse_nul(value: Any, pointer: str = "") -> None:
    """Refuse texts with NUL characters, which PostgreSQL cannot store, by their JSON Pointer.

    Call it with values that are not too deep: it recurses.

    Raises:
        Invalid: there is one.
    """
    if isinstance(value, str) and "\x00" in value:
        detail = "must not contain NUL characters"
        raise Invalid(f"{pointer or 'the body'}: {detail}", [(pointer, detail)])
    if isinstance(value, dict):
        for name, child in value.items():
            refuse_nul(name, pointer)
            refuse_nul(child, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}")
    if isinstance(value, list):
        for index, child in enumerate(value):
            refuse_nul(child, f"{pointer}/{index}")


def _inside(container: Any) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def _containers(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, dict | list)]
