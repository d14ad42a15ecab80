"""Where the seam to a connection lives: what delivery may ask of whatever transport there is."""

from collections.abc import Mapping
from typing import Any, Protocol


class OutletClosed(Exception):
    """The connection is gone, or was cut because its agent does not read."""


class Outlet(Protocol):
    """One open connection to an agent; bounded, in order, at most once."""

    async def send(self, type_: str, message: Mapping[str, Any]) -> None:
        """Write one message.

        Where too much is unread, a message with a ``seq`` waits as long as the agent takes
        something at all, and a hint ends the connection at once: whoever sends it has others to
        serve.

        Raises:
            OutletClosed: it was not written, and nothing will be any more.
        """
        ...

    async def flush(self) -> None:
        """Wait until what was sent is written out; returns at once when the connection is gone."""
        ...

    async def close(self) -> None:
        """End the connection; closing twice is no error."""
        ...
