"""Where numbers become drawings: bars and lines to scale, with words for who does not see. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nexus.observer.look import length_of
from nexus.services.history import Minute

WIDTH, HEIGHT = 600, 100
"""Of each drawing; it is stretched over its place."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A column; ``kind`` says of what."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A drawing: ``value`` is the newest number, ``top`` what the upper edge stands for."""

    name: str
    title: str
    value: str
    top: str
    words: str
    bars: list[Bar] = field(default_factory=list)
    lines: dict[str, list[str]] = field(default_factory=dict)


def plots(minutes: Sequence[Minute], waiting: int) -> list[Plot]:
    """Return the drawings of an hour at whose end ``waiting`` tasks wait."""
    return [_pace(minutes), _latency(minutes), _depth(minutes, waiting)]


def _pace(minutes: Sequence[Minute]) -> Plot:
    most = max(1, *(max(one.created, one.done) for one in minutes))
    step = WIDTH / len(minutes)
    bars = []
    for place, one in enumerate(minutes):
        x = place * step + step * 0.1
        bars.append(_bar(x, step * 0.4, one.created / most, "made"))
        bars.append(_bar(x + step * 0.4, step * 0.4, one.done / most, "done"))
    made, done = sum(one.created for one in minutes), sum(one.done for one in minutes)
    last = minutes[-2] if len(minutes) > 1 else minutes[-1]
    return Plot(
        name="pace",
        title="Tasks a minute",
        value=f"{last.created} made, {last.done} done",
        top=str(most),
        words=f"In the last hour {made} tasks were made and {done} done; at most {most} a minute.",
        bars=[bar for bar in bars if bar.height],
    )


def _bar(x: float, width: float, share: float, kind: str) -> Bar:
    height = round(share * HEIGHT, 1)
    return Bar(x=round(x, 1), y=HEIGHT - height, width=round(width, 1), height=height, kind=kind)


def _latency(minutes: Sequence[Minute]) -> Plot:
    known = [one for one in minutes if one.p99 is not None]
    most = max([1, *(one.p99 or 0 for one in known)])
    newest = known[-1] if known else None
    value, words = "nothing leased", "No task was leased in the last hour."
    if newest is not None:
        half, nearly = length_of(newest.p50 or 0), length_of(newest.p99 or 0)
        value = f"p50 {half}, p99 {nearly}"
        words = (
            f"Of the tasks leased last, half waited at most {half} and 99 of 100 at most {nearly}; "
            f"in the last hour the worst p99 of a minute was {length_of(most)}."
        )
    return Plot(
        name="latency",
        title="Dispatch latency",
        value=value,
        top=length_of(most),
        words=words,
        lines={
            "p99": _traces(minutes, lambda one: one.p99, most),
            "p50": _traces(minutes, lambda one: one.p50, most),
        },
    )


def _depth(minutes: Sequence[Minute], waiting: int) -> Plot:
    depths = [waiting]
    for one in reversed(minutes[1:]):
        depths.append(max(depths[-1] - one.queued, 0))
    found = dict(zip((one.number for one in minutes), reversed(depths), strict=True))
    most = max(1, *depths)
    return Plot(
        name="depth",
        title="Queue depth",
        value=f"{waiting:,} waiting",
        top=f"{most:,}",
        words=f"{waiting} tasks wait; in the last hour it were at most {most}.",
        lines={"depth": _traces(minutes, lambda one: found[one.number], most)},
    )


def _traces(
    minutes: Sequence[Minute], value: Callable[[Minute], int | None], most: int
) -> list[str]:
    """Return the points of lines, one for each stretch without a gap; alone, a point is a dash."""
    step = WIDTH / max(len(minutes) - 1, 1)
    found: list[list[str]] = [[]]
    for place, one in enumerate(minutes):
        height = value(one)
        if height is None:
            found.append([])
            continue
        y = round(HEIGHT - height / most * (HEIGHT - 4) - 2, 1)
        found[-1].append(f"{round(place * step, 1)},{y}")
    return [" ".join(points if len(points) > 1 else _dash(points[0])) for points in found if points]


def _dash(point: str) -> list[str]:
    x, y = point.split(",")
    return [f"{max(float(x) - 4, 0)},{y}", f"{min(float(x) + 4, WIDTH)},{y}"]
