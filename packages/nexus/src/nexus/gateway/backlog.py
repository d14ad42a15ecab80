"""Where it is counted what an agent has been sent and has not taken."""


class Backlog:
    """Counts messages by their bytes: the transport says only how many bytes it still holds."""

    __slots__ = ("_ends", "_written")

    def __init__(self) -> None:
        self._written = 0
        self._ends: list[int] | None = None

    def add(self, size: int, held: int) -> None:
        """Note a message of so many bytes, written while the transport held ``held`` of others."""
        if not held:
            self._written, self._ends = size, None
            return
        if self._ends is None:
            self._ends = [self._written]
        self._written += size
        self._ends.append(self._written)

    def unread(self, held: int) -> int:
        """Return how many messages the ``held`` bytes belong to, the one under way among them."""
        if not held:
            return 0
        if self._ends is None:
            return 1
        taken = self._written - held
        self._ends = [end for end in self._ends if end > taken]
        return len(self._ends)
