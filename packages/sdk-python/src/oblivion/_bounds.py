"""Where the bounds of a client live: how much may wait, and how long it waits itself."""

from dataclasses import dataclass

from oblivion._checks import SETTINGS


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much may wait within a client.

    Attributes:
        pending_calls: calls that may wait for Nexus's acknowledgement at once; one more raises
            :class:`~oblivion.QueueOverflow`.
        queued_events: events whose handlers may wait or run at once. One more cuts the
            connection; Nexus sends what was not acknowledged again after the reconnect. Of the
            hints (``task_available``), which Nexus does not repeat, the newest is left out.
        offers: offered tasks kept for claiming; beyond it the least urgent is forgotten.
        handler_threads: threads for handlers that are plain functions; further ones wait.
    """

    pending_calls: int = 1_000
    queued_events: int = 1_000
    offers: int = 1_000
    handler_threads: int = 32

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            SETTINGS.whole(f"limits.{name}", value, low=1, high=1_000_000)


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long a client waits for Nexus, in seconds.

    Attributes:
        connect: for each step of opening a connection.
        request: for each step of a request over HTTP: its answer, or the next piece of it.
        ack: for an acknowledgement on a live connection; none means it is dead.
        close: for sending what is left when the client stops.
    """

    connect: float = 10.0
    request: float = 10.0
    ack: float = 20.0
    close: float = 5.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            SETTINGS.number(f"timeouts.{name}", value, low=0, above=True)
