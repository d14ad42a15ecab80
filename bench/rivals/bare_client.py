"""Where bare python-socketio clients run: what an SDK agent stands on, without the SDK."""

import asyncio
import time
from typing import Any

import socketio

from bench.workers.talk import options, questions, say


def client(starts: dict[str, int]) -> Any:
    """Return a client whose handler does nothing else than note its start."""
    sio = socketio.AsyncClient()

    @sio.on("task")  # type: ignore[untyped-decorator]  # the library is untyped
    async def work(task: dict[str, Any]) -> None:
        starts[task["title"]] = time.monotonic_ns()

    return sio


async def main(told: dict[str, Any]) -> None:
    """Connect all clients, then hand out what they noted whenever the benchmark asks."""
    starts: dict[str, int] = {}
    clients = [client(starts) for _ in range(told["clients"])]
    for sio in clients:
        await sio.connect(told["url"], transports=["websocket"])
    say("ready")
    async for _ in questions():
        say(starts)
        starts.clear()
    for sio in clients:
        await sio.disconnect()


if __name__ == "__main__":
    asyncio.run(main(options()))
