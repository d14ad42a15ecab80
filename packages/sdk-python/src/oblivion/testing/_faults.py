"""Where the troubles are ordered that a test wants its agent to survive."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Faults:
    """What goes wrong next; every order counts for a number of times, by default once.

    Names are those of the protocol: calls such as ``task_update`` and ``post_message``, events
    such as ``task_assigned`` and ``context_update``.
    """

    _delays: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    _doubled: Counter[str] = field(default_factory=Counter[str])
    _cut: Counter[str] = field(default_factory=Counter[str])
    _swallowed: Counter[str] = field(default_factory=Counter[str])

    def delay(self, name: str, seconds: float, *, times: int = 1) -> None:
        """Hold back an event, or the answer to a call, for ``seconds`` of the clock."""
        self._delays.setdefault(name, []).extend([seconds] * times)

    def duplicate(self, event: str, *, times: int = 1) -> None:
        """Send an event twice."""
        self._doubled[event] += times

    def disconnect_before_ack(self, call: str, *, times: int = 1) -> None:
        """Carry a call out, and lose the connection before it is answered."""
        self._cut[call] += times

    def disconnect_before(self, call: str, *, times: int = 1) -> None:
        """Lose the connection before a call is carried out."""
        self._swallowed[call] += times

    def take_delay(self, name: str) -> float:
        """Return for how long to hold back, once."""
        waiting = self._delays.get(name)
        return waiting.pop(0) if waiting else 0.0

    def take_duplicate(self, name: str) -> bool:
        """Whether to send twice, once."""
        return _take(self._doubled, name)

    def take_cut(self, name: str) -> bool:
        """Whether to cut after carrying out, once."""
        return _take(self._cut, name)

    def take_swallow(self, name: str) -> bool:
        """Whether to cut before carrying out, once."""
        return _take(self._swallowed, name)


def _take(orders: Counter[str], name: str) -> bool:
    if orders[name] <= 0:
        return False
    orders[name] -= 1
    return True
