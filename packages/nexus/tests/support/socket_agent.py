"""Where tests get an agent that speaks the bare protocol, as a client in any language would."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import socketio

from oblivion.protocol import EventType, format_timestamp

DEADLINE_S = 10.0
_EVENTS = [*EventType]


class SocketAgent:
    """A connected agent: what it was sent stands in ``events`` as (name, message)."""

    def __init__(self, client: socketio.AsyncClient) -> None:
        self._client = client
        self.events: list[tuple[str, Any]] = []
        self._news = asyncio.Condition()
        for name in _EVENTS:
            client.on(name, self._taker(name), namespace="/agents")
        client.on("disconnect", self._taker("disconnect"), namespace="/agents")

    def _taker(self, name: str) -> Any:
        async def take(message: Any = None) -> None:
            self.events.append((name, message))
            async with self._news:
                self._news.notify_all()

        return take

    async def call(self, type_: str, payload: Any = None, *, id_: str | None = None) -> Any:
        """Send one call in its envelope and return the ack."""
        envelope = {
            "type": type_,
            "payload": payload or {},
            "timestamp": format_timestamp(datetime.now(UTC)),
        }
        if id_ is not None:
            envelope["id"] = id_
        return await self.raw_call(type_, envelope)

    async def raw_call(self, type_: str, message: Any) -> Any:
        """Send anything at all and return the ack."""
        return await self._client.call(type_, message, namespace="/agents", timeout=DEADLINE_S)

    async def send(self, type_: str, message: Any) -> None:
        """Send anything at all without waiting for an ack."""
        await self._client.emit(type_, message, namespace="/agents")

    async def ready(self, **announcement: Any) -> Any:
        """Announce an agent that acknowledges."""
        return await self.call("agent_ready", {"version": "1", "acks": True, **announcement})

    async def until(self, name: str, *, count: int = 1) -> Any:
        """Return the payload of the ``count``-th event of this name, once it is there."""
        async with asyncio.timeout(DEADLINE_S), self._news:
            await self._news.wait_for(lambda: len(self.named(name)) >= count)
        message = self.named(name)[count - 1]
        return message.get("payload", message) if isinstance(message, dict) else message

    def named(self, name: str) -> list[Any]:
        """Return the messages that came under this event name."""
        return [message for event, message in self.events if event == name]

    async def drop(self) -> None:
        """Disconnect."""
        await self._client.disconnect()


@contextlib.asynccontextmanager
async def socket_agent(url: str, token: str) -> AsyncIterator[SocketAgent]:
    """Connect with a token until the block ends."""
    client = socketio.AsyncClient(reconnection=False)
    agent = SocketAgent(client)
    await client.connect(
        url, auth={"token": token}, transports=["websocket"], namespaces=["/agents"]
    )
    try:
        await agent.until("connected")
        yield agent
    finally:
        await client.disconnect()


async def token_for(url: str, client_id: str, secret: str) -> str:
    """Return an access token."""
    async with httpx2.AsyncClient() as http:
        answer = await http.post(
            url + "/auth/token",
            data={
                "grant_type": "client_credentials",
                "client_id": client_id,
                "client_secret": secret,
            },
        )
    answer.raise_for_status()
    token: str = answer.json()["access_token"]
    return token
