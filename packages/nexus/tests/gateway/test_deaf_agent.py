"""An agent that stops reading, at a whole Nexus: it is cut, others go on, and it misses nothing."""

import json
import socket
from pathlib import Path

import pytest

from eventually import eventually
from live_nexus import AGENT_SECRET, live_nexus
from raw_peer import raw_peer
from socket_agent import socket_agent, token_for

TASKS = 60
LONG = "x" * 100_000
READY = {"version": "1", "acks": True, "maxConcurrency": TASKS}


@pytest.mark.soak
async def test_an_agent_that_stops_reading_is_cut_and_later_has_everything_in_order(
    tmp_path: Path,
) -> None:
    async with live_nexus(tmp_path / "data") as nexus:
        await nexus.admin.team()
        await nexus.admin.agent("deaf")
        token = await token_for(nexus.url, "deaf", AGENT_SECRET)

        async def is_cut() -> bool:
            return not (await nexus.admin.get("/observer/agents/deaf"))["isConnected"]

        async with raw_peer(nexus.url) as deaf:
            raw: socket.socket = deaf.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            await deaf.join({"token": token})
            ready = {"type": "agent_ready", "timestamp": "2026-01-01T00:00:00.000Z"}
            said = json.dumps(["agent_ready", {**ready, "payload": READY}])
            deaf.send(f"42/agents,0{said}")
            assert b'"acknowledged":true' in await deaf.until("43/agents,0")
            deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's has it
            made = [await nexus.admin.task(str(n), description=LONG) for n in range(TASKS)]
            await eventually(is_cut, what="the agent is cut", within=30)
        async with socket_agent(nexus.url, token) as reading:
            await reading.ready(maxConcurrency=TASKS)
            await reading.until("task_assigned", count=TASKS)
            told = reading.named("task_assigned")
    assert [event["seq"] for event in told] == list(range(1, TASKS + 1))
    assert [event["payload"]["taskId"] for event in told] == [task["id"] for task in made]
