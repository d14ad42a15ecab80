"""Where tests keep their own time."""

from dataclasses import dataclass


@dataclass
class FakeTime:
    """A clock that stands still until a test moves it; in epoch milliseconds."""

    now: int = 1_790_000_000_000

    def __call__(self) -> int:
        return self.now

    def advance(self, *, seconds: float) -> None:
        """Let time pass."""
        self.now += int(seconds * 1000)
