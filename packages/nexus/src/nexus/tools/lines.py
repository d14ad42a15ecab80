"""Where what a program writes is cut into lines, in bounded memory whatever it writes. Pure."""

from collections.abc import Iterator

LONGEST = 4 * 1024 * 1024
"""How long a line may be, in bytes; of a longer one only its two ends are kept."""

ENDS = 256
"""How much is kept of either end."""


class Lines:
    """Cuts chunks of bytes into lines, without their line feeds."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._head: bytes | None = None
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> Iterator["bytes | TooLong"]:
        """Take a chunk, and yield the lines that it completes."""
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._take(part)
            yield self._whole()
        self._take(rest)

    def _take(self, part: bytes) -> None:
        self._rest += part
        if self._head is None and len(self._rest) > self._longest:
            self._head = bytes(self._rest[:ENDS])
        if self._head is not None:
            del self._rest[:-ENDS]

    def _whole(self) -> "bytes | TooLong":
        head, rest = self._head, bytes(self._rest)
        self._head = None
        self._rest.clear()
        return rest if head is None else TooLong(head, rest)


class TooLong:
    """A line that was longer than was taken: how it began and how it ended."""

    def __init__(self, head: bytes, tail: bytes) -> None:
        self.head = head
        self.tail = tail
