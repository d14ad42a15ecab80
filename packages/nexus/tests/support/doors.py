"""Where tests try a token at the doors of Nexus: over HTTP, and at the socket."""

from typing import Any

import httpx2
import socketio

from live_nexus import LiveNexus


async def over_http(nexus: LiveNexus, token: str) -> str:
    """Return ``let in``, or the code with which an agent's request was refused."""
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        answer = await http.get("/tasks/available", headers={"Authorization": f"Bearer {token}"})
    return "let in" if answer.is_success else str(answer.json()["code"])


async def at_the_socket(nexus: LiveNexus, token: str) -> str:
    """Return ``let in``, or the code with which a connection was refused."""
    errors: list[Any] = []
    client = socketio.AsyncClient(reconnection=False)
    client.on("connect_error", errors.append, namespace="/agents")
    try:
        await client.connect(
            nexus.url, auth={"token": token}, transports=["websocket"], namespaces=["/agents"]
        )
    except socketio.exceptions.ConnectionError:
        return str(errors[0]["data"]["code"])
    await client.disconnect()
    return "let in"
