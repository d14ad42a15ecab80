"""What a supervisor learns from ``/livez`` and ``/readyz``."""

import asyncio
import socket
from pathlib import Path

import httpx2

from agent_program import oblivion
from eventually import eventually
from oblivion.testing import FakeNexus

AGENT = """
from oblivion import OblivionClient
client = OblivionClient.from_env()
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


async def test_it_is_alive_whether_connected_or_not_and_ready_while_connected(
    tmp_path: Path,
) -> None:
    (tmp_path / "agent.py").write_text(AGENT)
    port = free_port()
    async with (
        FakeNexus() as nexus,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
        oblivion(
            "run",
            "agent",
            folder=tmp_path,
            variables={
                **nexus.environment("my-agent"),
                "OBLIVION_LIVEZ_PORT": str(port),
                "OBLIVION_RECONNECT_DELAY": "0.1",
            },
        ) as agent,
    ):
        await agent.printed("event=connected")

        async def looks(connected: bool) -> bool:
            alive, ready = await asyncio.gather(http.get("/livez"), http.get("/readyz"))
            word = "ok" if connected else "not connected"
            agents = [{"clientId": "my-agent", "connected": connected}]
            assert (alive.status_code, alive.json()["status"]) == (200, "ok")
            expected = (200 if connected else 503, {"status": word, "agents": agents})
            return (ready.status_code, ready.json()) == expected

        await eventually(lambda: looks(True), what="it is ready")
        async with nexus.outage():
            await eventually(lambda: looks(False), what="it says that it is not connected")
        await eventually(lambda: looks(True), what="it is ready again")


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text(AGENT)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        async with (
            FakeNexus() as nexus,
            oblivion(
                "run",
                "agent",
                "--livez-port",
                port,
                folder=tmp_path,
                variables=nexus.environment("my-agent"),
            ) as agent,
        ):
            assert await agent.ended() == 2
            assert f"cannot answer /livez on 127.0.0.1:{port}" in agent.output
            assert "choose another livez_port" in agent.output
