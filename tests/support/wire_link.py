"""Where tests speak Socket.IO by hand: a socket, its packets, and nothing that repairs anything."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from oblivion.protocol import NAMESPACE

PATH = "/socket.io/?EIO=4&transport=websocket"
DEADLINE_S = 30.0
LOST = (OSError, WebSocketException, EOFError, TimeoutError)
"""What a connection that broke, or never came about, raises."""

Packet = tuple[str, int | None, list[Any]]
"""``event`` or ``ack``, the number that it carries, and its values."""


class Refused(Exception):
    """Nexus refused the connection; the argument is what it said."""


class WireLink:
    """One connection in the namespace of agents."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, type_: str, message: Any, number: int | None = None) -> None:
        """Send an event; with a number Nexus acknowledges it under that."""
        packet = orjson.dumps([type_, message]).decode()
        await self._socket.send(f"42{NAMESPACE},{'' if number is None else number}{packet}")

    async def receive(self) -> Packet:
        """Return the next event or acknowledgement; answers the transport's pings meanwhile."""
        while True:
            text = await self._socket.recv()
            assert isinstance(text, str)
            if text == "2":
                await self._socket.send("3")
            elif text.startswith(("42", "43")):
                return _parse(text)
            elif text.startswith(("1", "41")):
                raise EOFError("Nexus said goodbye")

    async def open(self, token: str) -> None:
        """Enter the namespace.

        Raises:
            Refused: Nexus does not want this agent now.
        """
        await self._socket.recv()
        await self._socket.send(f"40{NAMESPACE},{orjson.dumps({'token': token}).decode()}")
        answer = await self._socket.recv()
        if not str(answer).startswith("40"):
            raise Refused(answer)

    def abort(self) -> None:
        """Cut the connection without a goodbye."""
        self._socket.transport.abort()


def _parse(text: str) -> Packet:
    kind = "event" if text[1] == "2" else "ack"
    head, _, body = text.partition(",")
    assert head == text[:2] + NAMESPACE, f"not in the namespace of agents: {text[:60]}"
    digits = body[: body.index("[")]
    values: list[Any] = orjson.loads(body[len(digits) :])
    return kind, int(digits) if digits else None, values


@contextlib.asynccontextmanager
async def wire_link(url: str, token: str) -> AsyncIterator[WireLink]:
    """Connect, enter, and cut the connection when the block ends."""
    address = url.replace("http", "ws", 1) + PATH
    async with asyncio.timeout(DEADLINE_S):
        socket = await connect(address, compression=None, ping_interval=None, close_timeout=0)
    link = WireLink(socket)
    try:
        async with asyncio.timeout(DEADLINE_S):
            await link.open(token)
        yield link
    finally:
        link.abort()
