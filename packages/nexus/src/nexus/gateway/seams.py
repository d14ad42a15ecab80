"""Where the seams of the gateway are: what a connection asks of whoever serves those who come."""

from typing import Any, Protocol

from nexus.delivery import Outlet


class Refused(Exception):
    """Whoever asked may not come in; ``error`` has a ``message`` and what else they are told."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.error = error


class Guest(Protocol):
    """Somebody who was let in."""

    async def welcome(self) -> None:
        """Greet, and begin to serve; the connection is told when that is over."""
        ...

    def at_once(self, name: str, data: Any) -> Any:
        """Return the answer to a call that needs no waiting; None for any other."""
        ...

    async def call(self, name: str, data: Any, text: bytes) -> Any:
        """Carry out one call and return its answer, which is JSON; never raises.

        ``text`` is the JSON that both were read from.
        """
        ...

    def gone(self) -> None:
        """Note that the connection is gone."""
        ...


class Host(Protocol):
    """Whoever decides who comes in."""

    async def admit(self, outlet: Outlet, query: str, auth: Any) -> Guest:
        """Let somebody in who connected with this URL query and shows this.

        Raises:
            Refused: not this one, or not now.
        """
        ...
