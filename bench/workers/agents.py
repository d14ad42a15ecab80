"""Where SDK agents run in a process of their own: their handlers note when they were called."""

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from typing import Any

from bench.workers.talk import options, questions, say
from oblivion import OblivionClient, TaskAssignedPayload

CREDENTIALS = ("nexus_url", "client_id", "client_secret")
Starts = dict[str, int]
"""For each task's title, the monotonic time in nanoseconds at which its handler began."""


def agent(credentials: dict[str, str], concurrency: int, starts: Starts | None) -> OblivionClient:
    """Return a client whose handler does nothing else than note its start."""
    url, client_id, secret = (credentials[name] for name in CREDENTIALS)
    client = OblivionClient(url, client_id, secret, max_concurrency=concurrency)

    @client.on_task_assigned
    async def work(task: TaskAssignedPayload) -> None:
        if starts is not None:
            starts[task.title] = time.monotonic_ns()

    return client


async def main(told: dict[str, Any]) -> None:
    """Connect all agents, then hand out what they noted whenever the benchmark asks."""
    starts: Starts = {}
    noted = starts if told["note_starts"] else None
    async with AsyncExitStack() as stack:
        for credentials in told["agents"]:
            client = agent(credentials, told["concurrency"], noted)
            await stack.enter_async_context(client)
        say("ready")
        async for _ in questions():
            say(starts)
            starts.clear()
        logging.disable()  # the benchmark ends in the middle of work


if __name__ == "__main__":
    asyncio.run(main(options()))
