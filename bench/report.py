"""Where results become a table for people, a file for programs, and a page that is kept."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.figures import Figure, Samples
from bench.plot import draw

RESULTS = Path(__file__).parent / "results"
_COLUMNS = ("figure", "median", "min", "max", "unit", "aim", "rival", "ratio")
_BESIDE = ("", "tasks/s", "ours ÷ its", "p50 ms", "p99 ms", "CPU ms a task", "set up with")
_NO_FIGURE = "no figure"
PLOT = "latest.svg"
_NUMERIC = frozenset({"median", "min", "max", "aim", "rival", "ratio", "ours ÷ its"})


@dataclass(frozen=True, kw_only=True)
class Results:
    """All that one run of the benchmark found, and where."""

    when: str
    effort: str
    machine: Mapping[str, Any]
    load_before: Sequence[float]
    load_after: Sequence[float]
    seconds: float
    figures: Sequence[Figure]
    settings: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return what the results file keeps."""
        return {
            "when": self.when,
            "effort": self.effort,
            "seconds": round(self.seconds, 1),
            "loadAverage": {"before": self.load_before, "after": self.load_after},
            "machine": self.machine,
            "settings": dict(self.settings),
            "figures": [figure.to_json() for figure in self.figures],
        }


def show(console: Console, figures: Sequence[Figure]) -> None:
    """Print figures as a table, yellow where the aim is missed, and what they mean."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in _COLUMNS:
        numeric = column in _NUMERIC
        table.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    for figure in figures:
        style = "yellow" if figure.meets_aim is False else None
        table.add_row(*_cells(figure), style=style)
    console.print(table)
    for figure in figures:
        console.print(f"[bold]{figure.name}[/]: {escape(_explained(figure))}", highlight=False)
    for remark in remarks(figures):
        console.print(f"[yellow]{escape(remark)}[/]", highlight=False)


def remarks(figures: Sequence[Figure]) -> list[str]:
    """Return what must be known of rivals that lost jobs or have no figure, a line for each."""
    said: dict[tuple[str, str], list[str]] = {}
    for figure in figures:
        for one in figure.rivals:
            if one.remark:
                said.setdefault((one.who, one.remark), []).append(figure.name)
    return [f"{who}: {remark} ({', '.join(names)})" for (who, remark), names in said.items()]


def keep(results: Results, name: str, *, whole: bool) -> list[Path]:
    """Write the results file and, for a whole run, the page ``latest.md``; return their paths."""
    RESULTS.mkdir(exist_ok=True)
    day = results.when.partition("T")[0]
    written = [RESULTS / f"{day}-{name}.json"]
    written[0].write_text(json.dumps(results.to_json(), indent=2) + "\n")
    if whole:
        written += [RESULTS / "latest.md", RESULTS / PLOT]
        written[1].write_text(_page(results))
        draw(results.to_json()["figures"], _conditions(results), written[2])
    return written


def _conditions(results: Results) -> str:
    machine = results.machine
    return (
        f"{results.when.partition('T')[0]}, {machine['cpu']}, {machine['cores']} cores, an fsync "
        f"{machine['fsyncMs']} ms; one process that serves or works, one of load, and a broker"
    )


def _cells(figure: Figure) -> list[str]:
    return [
        figure.name,
        *_spread(figure.ours),
        figure.unit,
        str(figure.aim) if figure.aim is not None else "",
        _number(figure.rival.median) if figure.rival is not None else "",
        _ratio(figure.ratio),
    ]


def _spread(samples: Samples) -> list[str]:
    values = samples.median, min(samples.values), max(samples.values)
    return [_number(value) for value in values]


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _page(results: Results) -> str:
    parts = {
        "# Latest results": [_how(results)],
        "## Beside others": [
            f"![Jobs a second and latency beside rivals]({PLOT})",
            "",
            *_markdown_table(_BESIDE, _beside(results.figures, results.settings)),
            *_listed(remarks(results.figures)),
        ],
        "## Figures": _markdown_table(_COLUMNS, [_cells(figure) for figure in results.figures]),
        "## What was measured": [f"- `{one.name}`: {_explained(one)}" for one in results.figures],
        "## On what": [f"- {name}: {fact}" for name, fact in _facts(results).items()],
    }
    return "\n".join("\n".join([title, "", *lines, ""]) for title, lines in parts.items())


def _how(results: Results) -> str:
    return (
        f"Measured {results.when} with `python -m bench`, effort {results.effort}, in "
        f"{results.seconds:.0f} s. How to read it: [README](../README.md)."
    )


def _beside(figures: Sequence[Figure], settings: Mapping[str, str]) -> list[list[str]]:
    """Return a row for each contestant: what it did of each of the figures ``rivals.*``."""
    rows: dict[str, list[str]] = {}
    for figure in figures:
        if figure.name.startswith("rivals."):
            for one in (figure.ours, *figure.rivals):
                row = rows.setdefault(one.who, [one.who])
                row.append(_middle(one))
                if figure.name == "rivals.throughput":
                    row.append(_ratio(figure.ratio_to(one)))
    return [[*row, settings.get(who, "")] for who, row in rows.items()]


def _middle(one: Samples) -> str:
    if not one.is_measured:
        return _NO_FIGURE
    middle, low, high = _spread(one)
    return f"{middle} ({low} to {high})" if len(one.values) > 1 else middle


def _listed(lines: Sequence[str]) -> list[str]:
    """Return a list that follows something else; nothing without any."""
    return ["", *(f"- {line}" for line in lines)] if lines else []


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    ruler = ["--:" if column in _NUMERIC else "---" for column in head]
    return [f"| {' | '.join(cells)} |" for cells in (head, ruler, *rows)]


def _explained(figure: Figure) -> str:
    facts = [f"{len(figure.ours.values)} runs"]
    if figure.rival is not None:
        best = "best rival" if len(figure.rivals) > 1 else "rival"
        facts.append(f"{best}: {figure.rival.who}")
    facts += [f"{name}: {_number(value)}" for name, value in figure.notes.items()]
    return f"{figure.what} ({'; '.join(facts)})"


def _facts(results: Results) -> dict[str, str]:
    machine = results.machine
    brokers, libraries = machine["brokers"].items(), machine["libraries"].items()
    return {
        "machine": f"{machine['cpu']}, {machine['cores']} cores, {machine['memoryGiB']} GiB",
        "an fsync": f"{machine['fsyncMs']} ms",
        "load average": f"{results.load_before} before, {results.load_after} after",
        "system": f"{machine['os']}, {machine['python']}, SQLite {machine['sqlite']}",
        "commit": str(machine["commit"]),
        "brokers": ", ".join(f"{name} {version}" for name, version in brokers),
        "libraries": ", ".join(f"{name} {version}" for name, version in libraries),
    }
