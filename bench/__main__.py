"""Where the command ``python -m bench`` lives."""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from traceback import TracebackException

from rich.console import Console

from bench.effort import FULL, QUICK, Effort
from bench.figures import Figure
from bench.machine import describe, load_average
from bench.measures import MEASURES, rivals
from bench.processes import ROOT
from bench.report import Results, keep, show

_EPILOG = "\n".join(
    [
        "measures:",
        *(f"  {name:8}{sys.modules[one.__module__].__doc__}" for name, one in MEASURES.items()),
        "",
        "Each figure is the median of several runs with their minimum and maximum; `ratio` is ours",
        "divided by the best rival's in this same run. Machine and versions stand in the results:",
        "bench/results/<date>-<name>.json and, of all measures together, latest.md and latest.svg.",
        "How to read them: bench/README.md.",
    ]
)


def main() -> None:
    """Measure what was asked for, print it and keep it; exit with 1 when a measure failed."""
    asked = _arguments()
    names = [name for name in MEASURES if name in asked.names or not asked.names]
    effort = FULL if asked.full else QUICK
    console = Console()
    failed: list[str] = []
    # A terminated benchmark takes its processes with it, as an interrupted one does.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        results = asyncio.run(_measured(names, effort, console, failed))
    except KeyboardInterrupt:
        sys.exit(130)
    if results.figures:
        whole = not failed and len(names) == len(MEASURES)
        default = effort.name if whole else "-".join([effort.name, *names])
        _publish(results, asked.name or default, console, whole=whole)
    if failed:
        sys.exit(f"bench: failed: {', '.join(failed)}")


def _publish(results: Results, name: str, console: Console, *, whole: bool) -> None:
    written = keep(results, name, whole=whole)
    show(console, results.figures)
    for path in written:
        console.print(f"written: {path.relative_to(ROOT)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure Oblivion beside other queues and beside what it stands on.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="MEASURE",
        help="what to measure, see below; without it all, which takes about five minutes",
    )
    parser.add_argument(
        "--full", action="store_true", help="more tasks, more runs, 10,000 agents: fifteen minutes"
    )
    parser.add_argument("--name", help="what the results file is called after its date")
    asked = parser.parse_args()
    for name in asked.names:
        if name not in MEASURES:
            parser.error(f"there is no measure {name!r}; there are {', '.join(MEASURES)}")
    return asked


async def _measured(
    names: Sequence[str], effort: Effort, console: Console, failed: list[str]
) -> Results:
    """Take the measures one after the other; the names of those that fail go into ``failed``."""
    before, began, figures = load_average(), time.perf_counter(), list[Figure]()
    when = datetime.now(UTC).isoformat(timespec="seconds")
    for name in names:
        started = time.perf_counter()
        with console.status(f"measuring {name} ..."):
            try:
                figures += await MEASURES[name](effort)
            except Exception as error:  # noqa: BLE001 - the others are still worth having
                TracebackException.from_exception(error, max_group_width=1).print()
                failed.append(name)
        console.print(f"measured {name} in {time.perf_counter() - started:.0f} s")
    return Results(
        when=when,
        effort=effort.name,
        machine=describe(),
        load_before=before,
        load_after=load_average(),
        seconds=time.perf_counter() - began,
        figures=figures,
        settings=rivals.settings() if "rivals" in names else {},
    )


if __name__ == "__main__":
    main()
