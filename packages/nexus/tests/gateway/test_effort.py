"""What our server side costs, beside the reference in the same run; the figures are printed.

Processor time and memory of the server's process, so that other load on the machine hardly counts.
"""

import asyncio
import sys

import pytest

from socketio_load import echoes_per_cpu_second, idleness, side_process
from socketio_sides import SIDES

if sys.platform != "win32":
    import resource

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
LOOPS = ("uvloop",)


async def test_calls_are_answered_with_far_less_work() -> None:
    rates: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(3):
        for side in SIDES:
            async with side_process(side) as process:
                rates[side].append(await echoes_per_cpu_second(process, count=60_000))
    for side, found in rates.items():
        print(f"{side}: {', '.join(f'{rate:,.0f}' for rate in found)} echoes a CPU second")
    assert min(rates["ours"]) > 2 * max(rates["reference"])


async def test_idle_connections_are_light() -> None:
    _raise_file_limit()
    found = {}
    for side in SIDES:
        async with side_process(side) as process:
            found[side] = await idleness(process, count=5_000, seconds=60)
        print(side, found[side])
        await asyncio.sleep(0)
    assert found["ours"].kib_each < 8
    assert found["ours"].kib_each < found["reference"].kib_each / 4
    assert found["ours"].connect_us < found["reference"].connect_us / 3
    assert found["ours"].cpu_share < 0.02


def _raise_file_limit() -> None:
    if sys.platform != "win32":
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
