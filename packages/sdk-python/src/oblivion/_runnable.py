"""Where the seam is drawn between a process and the clients that it runs."""

from typing import Protocol


class Runnable(Protocol):
    """What :func:`run` needs of a client."""

    @property
    def client_id(self) -> str:
        """Who it is."""
        ...

    @property
    def connected(self) -> bool:
        """Whether it is connected at this moment."""
        ...

    async def connect(self) -> None:
        """Begin."""
        ...

    async def wait(self) -> None:
        """Wait for the end."""
        ...

    async def disconnect(self) -> None:
        """Drain and end."""
        ...
