"""Where a bare python-socketio client runs: what an SDK agent stands on, without the SDK."""

import asyncio
from typing import Any

import socketio

from bench.workers.talk import options, questions, say


async def main(told: dict[str, Any]) -> None:
    """Connect, and stay until the benchmark hangs up."""
    client = socketio.AsyncClient()
    await client.connect(told["url"], transports=["websocket"])
    say("ready")
    async for _ in questions():
        pass
    await client.disconnect()


if __name__ == "__main__":
    asyncio.run(main(options()))
