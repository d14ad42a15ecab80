"""Where Socket.IO load comes from: the few frames of the protocol, spoken by hand over WebSocket.

By hand, because a python-socketio client costs as much as the server that is measured.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Iterator

import aiohttp

_CALL = {
    "type": "task_update",
    "payload": {"taskId": "01JD0000000000000000000000", "attempt": 1, "status": "DONE"},
    "timestamp": "2026-01-01T00:00:00.000Z",
    "id": "01JD0000000000000000000001",
}
"""As long as what an agent sends when it ends a task."""
_BODY = json.dumps(["echo", _CALL], separators=(",", ":"))


async def echoes_a_second(url: str, *, count: int, clients: int, window: int) -> float:
    """Return how many events a second a server acknowledges, ``window`` at once for each client."""
    numbers = iter(range(count))
    async with aiohttp.ClientSession() as http:
        sockets = [await _connect(http, url) for _ in range(clients)]
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for socket in sockets:
                group.create_task(_talk(socket, numbers, window))
        seconds = time.perf_counter() - began
        for socket in sockets:
            await socket.close()
    return count / seconds


async def _connect(http: aiohttp.ClientSession, url: str) -> aiohttp.ClientWebSocketResponse:
    address = f"{url}/socket.io/?EIO=4&transport=websocket"
    socket = await http.ws_connect(address, autoping=False)
    await _expect(socket, "0")
    await socket.send_str("40")
    await _expect(socket, "40")
    return socket


async def _talk(
    socket: aiohttp.ClientWebSocketResponse, numbers: Iterator[int], window: int
) -> None:
    in_flight = 0
    for number in itertools.islice(numbers, window):
        await socket.send_str(f"42{number}{_BODY}")
        in_flight += 1
    while in_flight:
        frame = await socket.receive_str()
        if frame == "2":
            await socket.send_str("3")
            continue
        _check(frame, "43")
        in_flight -= 1
        for number in itertools.islice(numbers, 1):
            await socket.send_str(f"42{number}{_BODY}")
            in_flight += 1


async def _expect(socket: aiohttp.ClientWebSocketResponse, start: str) -> None:
    _check(await socket.receive_str(), start)


def _check(frame: str, start: str) -> None:
    if not frame.startswith(start):
        raise RuntimeError(f"expected a Socket.IO frame that starts with {start}, got {frame!r}")
