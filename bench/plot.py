"""Where the plot is drawn: how many jobs a second, and how soon one begins, beside the rivals."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

OURS, DURABLE, WEAKER = "#2f6fde", "#98a1b0", "#d3d8e0"
INK, FAINT = "#1f2430", "#7a8291"


def draw(figures: Sequence[Mapping[str, Any]], title: str, path: Path) -> None:
    """Draw the figures ``rivals.*`` of a results file; the ending says in which format."""
    by_name = {figure["name"]: figure for figure in figures}
    rates = _contestants(by_name["rivals.throughput"])
    rates.sort(key=lambda one: float(one["median"] or 0))
    canvas = Canvas(figsize=(11, 0.52 * len(rates) + 1.9), facecolor="white")
    left, right = canvas.subplots(1, 2, width_ratios=[1.15, 1], sharey=True)
    names = [one["who"] for one in rates]
    _bars(left, rates)
    _dots(right, names, by_name["rivals.latency_p50"], by_name["rivals.latency_p99"])
    left.set_yticks(range(len(names)), names)
    for label in left.get_yticklabels():
        label.set(color=OURS if label.get_text() == "Oblivion" else INK, fontsize=11)
        label.set_fontweight("bold" if label.get_text() == "Oblivion" else "normal")
    canvas.text(0.012, 0.975, title, fontsize=10, color=FAINT, va="top")
    canvas.tight_layout(rect=(0, 0, 1, 0.955), w_pad=2.5)
    canvas.savefig(path, dpi=150, metadata=_without_date(path))


def _contestants(figure: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [figure["ours"], *figure["rivals"]]


def _bars(axes: Axes, rates: Sequence[Mapping[str, Any]]) -> None:
    most = max(one["max"] or 0 for one in rates)
    for row, one in enumerate(rates):
        if one["median"] is None:
            _write(axes, "no figure", (most * 0.02, row), ha="left")
            continue
        axes.barh(row, one["median"], height=0.62, color=_colour(one), zorder=2)
        axes.plot([one["min"], one["max"]], [row, row], color=INK, linewidth=1.4, zorder=3)
        for end in (one["min"], one["max"]):
            axes.plot([end, end], [row - 0.13, row + 0.13], color=INK, linewidth=1.4, zorder=3)
        _write(axes, f"{one['median']:,.0f}", (one["max"] + most * 0.02, row), ha="left")
    axes.set_xlim(0, most * 1.14)
    axes.set_ylim(-0.6, len(rates) - 0.4)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    _tidy(
        axes,
        "jobs a second at saturation",
        "median, least and most of the runs; pale: not on disk when accepted",
    )


def _dots(axes: Axes, names: Sequence[str], p50: Mapping[str, Any], p99: Mapping[str, Any]) -> None:
    middle = {one["who"]: one["median"] for one in _contestants(p50) if one["runs"]}
    late = {one["who"]: one["median"] for one in _contestants(p99) if one["runs"]}
    for row, who in enumerate(names):
        if who not in middle:
            continue
        near, far = middle[who], late[who]
        colour = OURS if who == "Oblivion" else FAINT
        axes.plot([near, far], [row, row], color=colour, linewidth=2, alpha=0.45, zorder=2)
        axes.plot(near, row, "o", color=colour, markersize=8, zorder=3)
        axes.plot(
            far,
            row,
            "o",
            color="white",
            markeredgecolor=colour,
            markersize=8,
            markeredgewidth=2,
            zorder=3,
        )
        for value in (near, far):
            _write(
                axes,
                f"{value:.0f}" if value >= 100 else f"{value:.1f}",
                (value, row + 0.27),
                ha="center",
            )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(min(middle.values()) / 1.5, max(late.values()) * 1.5)
    _tidy(axes, "ms from request to start, at 50 a second", "filled p50, hollow p99; log scale")


def _write(axes: Axes, text: str, at: tuple[float, float], *, ha: str) -> None:
    axes.text(*at, text, ha=ha, va="center", fontsize=9.5, color=INK)


def _tidy(axes: Axes, title: str, below: str) -> None:
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK, pad=10)
    axes.set_xlabel(below, loc="left", fontsize=8.5, color=FAINT)
    axes.grid(axis="x", color="#e7eaf0", linewidth=1, zorder=0)
    axes.tick_params(length=0, labelsize=9, colors=FAINT)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _colour(one: Mapping[str, Any]) -> str:
    who = one["who"]
    if who == "Oblivion":
        return OURS
    return DURABLE if "fsync" in who or "PostgreSQL" in who else WEAKER


def _without_date(path: Path) -> dict[str, Any]:
    """Return metadata with which the same figures make the same file."""
    return {"Date": None} if path.suffix == ".svg" else {}
