"""From an agent's call of a tool to its result, beside calling the same MCP server directly."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from mcp import Client, StdioServerParameters, stdio_client

from bench.effort import Effort
from bench.figures import Aim, Figure, Samples, oblivion, percentile
from bench.nexus_process import nexus
from bench.processes import ROOT
from bench.workers.agents import CREDENTIALS
from oblivion import OblivionClient

_COMMAND = [sys.executable, str(ROOT / "bench" / "workers" / "echo_server.py")]
_CALLS_A_SECOND = 50
"""About as many calls are made, one after the other, for each second of an even pace."""

_UP_S = 30.0

Call = Callable[[str], Awaitable[str]]


@dataclass(frozen=True, kw_only=True)
class Ways:
    """The two ways to the same program, each with a process of it."""

    direct: Call
    gateway: Call


async def measure(effort: Effort) -> list[Figure]:
    """Measure both in one run, taking turns, one call after the other."""
    number = int(effort.paced_seconds * _CALLS_A_SECOND)
    async with _ways() as ways:
        await _turns(ways, int(effort.warm_up_seconds * _CALLS_A_SECOND))
        runs = [await _turns(ways, number) for _ in range(effort.runs)]
    return [_figure(runs, percent, number) for percent in (50, 99)]


def _figure(runs: list[tuple[list[float], list[float]]], percent: int, number: int) -> Figure:
    direct = [percentile(one, percent / 100) for one, _ in runs]
    ours = [percentile(one, percent / 100) for _, one in runs]
    more = percentile(ours, 0.5) - percentile(direct, 0.5)
    return Figure(
        name=f"tools.latency_p{percent}",
        what=f"from request_tool to its result, p{percent}: asked, judged by a rule, begun, ended "
        "and told with an fsync each, and audited; beside it the same MCP server called directly",
        unit="ms",
        ours=oblivion(ours),
        rivals=(Samples(who="MCP directly", values=tuple(direct)),),
        aim=Aim(at_most=50.0) if percent == 99 else None,
        notes={"calls a run": number, "overhead of the gateway, ms": round(more, 2)},
    )


async def _turns(ways: Ways, number: int) -> tuple[list[float], list[float]]:
    """Return in ms how long each call took, directly and through the gateway."""
    direct: list[float] = []
    gateway: list[float] = []
    for nth in range(number):
        direct.append(await _timed(ways.direct, f"direct {nth}"))
        gateway.append(await _timed(ways.gateway, f"gateway {nth}"))
    return direct, gateway


async def _timed(call: Call, text: str) -> float:
    began = time.perf_counter_ns()
    said = await call(text)
    took = (time.perf_counter_ns() - began) / 1e6
    if said != text:
        raise RuntimeError(f"said {said!r}, not {text!r}")
    return took


@contextlib.asynccontextmanager
async def _ways() -> AsyncIterator[Ways]:
    settings = {
        "NEXUS_TOOLS": json.dumps({"echo": {"command": _COMMAND}}),
        "NEXUS_TOOL_RULES": json.dumps([{"tools": ["echo.*"]}]),
    }
    parameters = StdioServerParameters(command=_COMMAND[0], args=_COMMAND[1:])
    async with nexus(**settings) as running, Client(stdio_client(parameters)) as direct:
        (credentials,) = await running.agents(1)
        url, client_id, secret = (credentials[name] for name in CREDENTIALS)
        async with OblivionClient(url, client_id, secret) as client:

            async def through(text: str) -> str:
                result = await client.request_tool("echo", "say", {"text": text})
                if not result.success:
                    raise RuntimeError(f"{result.code}: {result.error}")
                return str(result.data["result"])

            async def straight(text: str) -> str:
                result = await direct.call_tool("say", {"text": text})
                return str((result.structured_content or {})["result"])

            async with asyncio.timeout(_UP_S):
                await _up(client)
            yield Ways(direct=straight, gateway=through)


async def _up(client: OblivionClient) -> None:
    """Return once the server has said what it can do."""
    while not await client.list_tools():  # noqa: ASYNC110 - another process knows when
        await asyncio.sleep(0.1)
