"""The token endpoint: how many tokens a second for secrets that Nexus made."""

import time

from bench.effort import Effort
from bench.figures import Aim, Figure, Samples, oblivion
from bench.load.http import Connections, connections, request
from bench.nexus_process import Nexus, nexus
from bench.processes import worker

CONNECTIONS = 8


async def measure(effort: Effort) -> list[Figure]:
    """Ask for tokens over a few keep-alive connections; the rival only echoes a small POST."""
    async with nexus() as server, connections(server.url, CONNECTIONS) as load:
        tokens = await _rates(load, await token_request(server), effort)
    async with (
        worker("bench.rivals.bare_server") as bare,
        connections(bare.answer, CONNECTIONS) as load,
    ):
        small = request(bare.answer, "/take", {"title": "a small POST"})
        echoes = await _rates(load, small, effort)
    return [
        Figure(
            name="token",
            what=f"POST /auth/token over {CONNECTIONS} keep-alive connections",
            unit="requests/s",
            ours=oblivion(tokens),
            rivals=(Samples(who="bare FastAPI that answers a small POST", values=tuple(echoes)),),
            aim=Aim(at_least=2_000),
        )
    ]


async def token_request(server: Nexus) -> bytes:
    """Return the request for a token of a new agent."""
    (agent,) = await server.agents(1)
    credentials = {name: agent[name] for name in ("client_id", "client_secret")}
    body = {"grant_type": "client_credentials", **credentials}
    return request(server.url, "/auth/token", body)


async def _rates(load: Connections, prepared: bytes, effort: Effort) -> list[float]:
    await load.flood([prepared] * (effort.requests // 10))
    return [await _rate(load, prepared, effort.requests) for _ in range(effort.runs)]


async def _rate(load: Connections, prepared: bytes, count: int) -> float:
    began = time.perf_counter()
    await load.flood([prepared] * count)
    return count / (time.perf_counter() - began)
