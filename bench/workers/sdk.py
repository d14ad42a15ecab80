"""Where events are handed to an SDK agent that has no connection: all that it does is its own."""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from bench.workers.talk import options, orders, say
from oblivion import Limits, OblivionClient, Timeouts, WakeUpPayload, _telemetry
from oblivion._agent import Agent
from oblivion._clock import SystemClock
from oblivion._link import Link
from oblivion.protocol import EventType

_LANES = 100
_AT_ONCE = 500


async def dispatched(count: int) -> float:
    """Return the microseconds of computing from an event that came in to its handler's end."""
    heard, over = 0, asyncio.Event()
    limits = Limits(queued_events=2 * _AT_ONCE)
    client = OblivionClient("http://localhost:1", "bench", "no secret", limits=limits)

    @client.on_wake_up
    async def hear(_call: WakeUpPayload) -> None:
        nonlocal heard
        heard += 1
        if heard % _AT_ONCE == 0:
            over.set()

    clock = SystemClock()
    agent = Agent(client._settings, client._abilities, client._identity, clock)
    link = Link(clock, Timeouts().ack)
    events = [_event(number) for number in range(count)]
    began = time.process_time()
    for first in range(0, count, _AT_ONCE):
        over.clear()
        for event in events[first : first + _AT_ONCE]:
            agent.receive(link, EventType.WAKE_UP, event)
        await over.wait()
    return (time.process_time() - began) / count * 1e6


async def read(count: int) -> float:
    """Return the microseconds that only reading an event's payload takes."""
    payloads = [_event(number)["payload"] for number in range(count)]
    began = time.process_time()
    for payload in payloads:
        WakeUpPayload.model_validate(payload)
    return (time.process_time() - began) / count * 1e6


def _event(number: int) -> dict[str, Any]:
    return {
        "type": "wake_up",
        "payload": {
            "reason": "mention",
            "taskId": f"task-{number % _LANES}",
            "triggeredBy": "Ann",
            "message": "Have a look at this, please.",
        },
        "timestamp": "2026-01-31T09:30:00.000Z",
        "id": f"event-{number}",
    }


async def main(_told: object) -> None:
    """Measure what is asked for, again and again."""
    without: Callable[[], None] = lambda: None  # noqa: E731 - stands in for a function
    say("ready")
    async for order in orders():
        count = order["count"]
        with patch.object(_telemetry, "_api", without):
            bare = await dispatched(count)
        say({"bare": bare, "traced": await dispatched(count), "read": await read(count)})


if __name__ == "__main__":
    asyncio.run(main(options()))
