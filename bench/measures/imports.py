"""How long ``import oblivion`` takes in a fresh interpreter."""

import asyncio
import json
import sys
import time

from bench.effort import Effort
from bench.figures import Aim, Figure, Samples, oblivion
from bench.processes import ROOT, environment

_STANDS_ON = ("httpx2", "socketio", "aiohttp", "pydantic", "structlog")
_TIMED = """
import json, time
began = time.perf_counter()
import {modules}
print(json.dumps(time.perf_counter() - began))
"""


async def measure(effort: Effort) -> list[Figure]:
    """Time the import, in turns with that of the libraries which the SDK stands on."""
    ours, theirs, bare = [], [], []
    await _seconds("oblivion", *_STANDS_ON)  # reads the files from the disk, once
    for _ in range(effort.import_runs):
        ours.append(await _seconds("oblivion"))
        theirs.append(await _seconds(*_STANDS_ON))
        bare.append(await _interpreter_seconds())
    return [
        Figure(
            name="import",
            what="import oblivion in a fresh interpreter",
            unit="s",
            ours=oblivion(ours),
            rivals=(Samples(who="import " + ", ".join(_STANDS_ON), values=tuple(theirs)),),
            aim=Aim(at_most=0.5),
            notes={"start of the interpreter itself s": min(bare)},
        )
    ]


async def _seconds(*modules: str) -> float:
    return float(json.loads(await _python(_TIMED.format(modules=", ".join(modules)))))


async def _interpreter_seconds() -> float:
    began = time.perf_counter()
    await _python("")
    return time.perf_counter() - began


async def _python(program: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
    )
    printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the interpreter failed; what it said stands above")
    return printed
