"""Where wake-ups live within one process."""

from collections.abc import Callable, Iterable
from typing import Protocol

Listener = Callable[[], None]


class Bus(Protocol):
    """Carries topics from whoever committed a change to whoever waits for it."""

    def wake(self, topics: Iterable[str]) -> None:
        """Call every listener of ``topics``; listeners must be quick and must not raise."""
        ...

    def listen(self, topic: str, listener: Listener) -> Callable[[], None]:
        """Have ``listener`` called at each wake of ``topic``; returns how to stop that."""
        ...


class LocalBus:
    """The bus of a single node: plain calls within the event loop."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}

    def wake(self, topics: Iterable[str]) -> None:
        """Call every listener of ``topics``."""
        for topic in topics:
            for listener in tuple(self._listeners.get(topic, ())):
                listener()

    def listen(self, topic: str, listener: Listener) -> Callable[[], None]:
        """Have ``listener`` called at each wake of ``topic``; returns how to stop that."""
        self._listeners.setdefault(topic, []).append(listener)

        def stop() -> None:
            listeners = self._listeners.get(topic, [])
            if listener in listeners:
                listeners.remove(listener)
            if not listeners:
                self._listeners.pop(topic, None)

        return stop
