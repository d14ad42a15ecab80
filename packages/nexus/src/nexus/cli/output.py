"""Where results are shown: tables for people, JSON for programs, notes on standard error."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

Columns = Mapping[str, Callable[[Mapping[str, Any]], Text]]
"""What a table shows: its headings, and how each cell is read from an item."""

_NEVER_WRAPPED = frozenset({"", "ID", "STATUS", "PRIORITY", "POLICY", "APPROVAL", "STATE"})
"""Columns that a narrow terminal leaves whole; the others are broken into lines."""

_NO_LIMIT = 100_000


def clean(text: str) -> str:
    """Return ``text`` without control characters: what others wrote cannot steer a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def one_line(text: str) -> str:
    """Return ``text`` fit for a table's cell or a line of a feed."""
    return clean(" ".join(text.split()))


def console(*, stderr: bool = False) -> Console:
    """Return a console that takes text as it is; a file or pipe gets no colours and no wrapping."""
    made = Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)
    if not made.is_terminal:
        made.width = _NO_LIMIT
    return made


def note(text: str) -> None:
    """Tell the user something that is no result."""
    print(clean(text), file=sys.stderr, flush=True)


def as_json(document: Any, *, indent: int | None = 2) -> str:
    """Return a document as JSON text."""
    return json.dumps(document, ensure_ascii=False, indent=indent)


@dataclass(frozen=True, kw_only=True)
class Output:
    """Standard output of one command: for people, or one JSON document and nothing else."""

    json: bool = False

    def listing(self, items: Sequence[Mapping[str, Any]], columns: Columns, **more: Any) -> None:
        """Show a list; ``more`` goes beside ``items`` into the JSON document."""
        if self.json:
            print(as_json({"items": items, **more}))
            return
        if not items:
            note("none")
            return
        _print_table(_table(items, columns))
        if more.get("hasMore"):
            note("there are more; raise --limit to see them")

    def record(self, item: Mapping[str, Any], fields: Columns) -> None:
        """Show one thing; empty fields are left out."""
        if self.json:
            print(as_json(item))
            return
        grid = Table.grid(padding=(0, 2))
        for heading, cell in fields.items():
            if shown := cell(item):
                grid.add_row(Text(heading, style="bold"), shown)
        _print_table(grid)

    def done(self, sentence: str, document: Any) -> None:
        """Say what was done, or print the document that shows it."""
        print(as_json(document) if self.json else clean(sentence))


def _table(items: Sequence[Mapping[str, Any]], columns: Columns) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns:
        table.add_column(heading, overflow="fold", no_wrap=heading in _NEVER_WRAPPED)
    for item in items:
        table.add_row(*(cell(item) for cell in columns.values()))
    return table


def _print_table(table: Table) -> None:
    target = console()
    if target.is_terminal:
        target.print(table)
        return
    with target.capture() as captured:
        target.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))
