"""Where the seam to the network is drawn: what the session asks of a socket."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

OnEvent: TypeAlias = Callable[[str, Any], None]
"""Called for every event in the order of arrival; must neither block nor raise."""

OnAck: TypeAlias = Callable[[Any], None]
"""Called with the answer to one sent event; must neither block nor raise."""


class Connection(Protocol):
    """One open socket on the agents' namespace."""

    @property
    def closed(self) -> asyncio.Future[str]:
        """Done once the socket is gone, with the reason."""
        ...

    def send(self, event: str, data: dict[str, Any], on_ack: OnAck | None = None) -> None:
        """Queue an event; on a closed socket nothing happens."""
        ...

    async def close(self, *, flush: bool) -> None:
        """Close the socket within a few seconds, after sending what is queued if ``flush``."""
        ...


class Connector(Protocol):
    """What opens sockets."""

    async def open(self, token: str, on_event: OnEvent) -> Connection:
        """Open a socket and pass its events on.

        Raises:
            NexusUnreachable: nothing usable answered in time.
            ConnectRefused: Nexus answered no.
        """
        ...
