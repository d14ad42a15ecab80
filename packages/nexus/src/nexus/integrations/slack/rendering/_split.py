"""Where long markdown is cut into pieces, each of which is markdown by itself."""

import re
from dataclasses import dataclass

_MARKER = re.compile(r" {0,3}(`{3,32}(?!`)|~{3,32}(?!~))([^\n]*)")
_BREAKS = ("\n\n", "\n", " ")
_LONGEST_INFO = 40


@dataclass(frozen=True, kw_only=True)
class _Fence:
    """An open block of code: what closes it, and the line that opens it again."""

    marker: str
    opening: str


def split(markdown: str, limit: int) -> list[str]:
    """Cut markdown into pieces of at most ``limit`` characters (200 at least).

    It is cut between paragraphs, else lines, else words, else anywhere. Together the pieces have
    every character of it in order. A block of code that is cut is closed, and opened again in the
    next piece.
    """
    pieces: list[str] = []
    fence: _Fence | None = None
    while True:
        head = "" if fence is None else f"{fence.opening}\n"
        room = limit - len(head)
        if len(markdown) <= room:
            return [*pieces, head + markdown]
        piece = markdown[: _cut(markdown, room - _MOST_CLOSING)]
        markdown = markdown[len(piece) :]
        fence = _fence_after(head + piece)
        pieces.append(head + piece + _closing(piece, fence))


_MOST_CLOSING = len("\n") + 32


def _cut(text: str, room: int) -> int:
    """Return where to cut so that a piece fills at least half of the room."""
    for mark in _BREAKS:
        found = text.rfind(mark, room // 2, room)
        if found >= 0:
            return found + len(mark)
    return room


def _closing(piece: str, fence: _Fence | None) -> str:
    if fence is None:
        return ""
    return fence.marker if piece.endswith("\n") else f"\n{fence.marker}"


def _fence_after(text: str) -> _Fence | None:
    """Return the block of code that is open where a text ends (CommonMark 0.31, 4.5)."""
    fence: _Fence | None = None
    for line in text.split("\n"):
        found = _MARKER.fullmatch(line)
        if found is not None:
            fence = _after(fence, found[1], found[2])
    return fence


def _after(fence: _Fence | None, marker: str, info: str) -> _Fence | None:
    if fence is None:
        if marker[0] == "`" and "`" in info:
            return None
        word = info.strip()
        return _Fence(marker=marker, opening=marker + (word if len(word) <= _LONGEST_INFO else ""))
    closes = marker.startswith(fence.marker) and not info.strip()
    return None if closes else fence
