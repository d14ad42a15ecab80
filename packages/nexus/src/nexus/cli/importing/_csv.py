"""Where tasks are read from CSV: columns named by the first line, empty cells not given."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from nexus.cli.importing._json import explain, refuse_constant
from nexus.cli.importing._rows import Mistake, Parsed, Row

_LISTS = frozenset({"requiredCapabilities", "required_capabilities"})
_NUMBERS = frozenset(
    {"priority", "maxAttempts", "max_attempts", "timeoutSeconds", "timeout_seconds"}
)
_METADATA = "metadata"


def read_csv(text: str) -> Iterator[Parsed]:
    """Read a table; a cell may span lines when it is quoted."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    heading: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Mistake(line=line, says=f"not CSV: {error}")
            return
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if heading is None:
            heading = [cell.strip() for cell in cells]
            yield from _heading_mistakes(line, heading)
        else:
            yield _csv_row(line, heading, cells)


def _delimiter(text: str) -> str:
    """Return what the first line is cut by: a comma, or what spreadsheets use in its place."""
    first = text.lstrip("\r\n").partition("\n")[0]
    return max(",;\t", key=first.count)


def _heading_mistakes(line: int, heading: list[str]) -> Iterator[Mistake]:
    if "title" not in heading:
        yield Mistake(line=line, says="there is no column title; the first line names the columns")
    for name in sorted({name for name in heading if heading.count(name) > 1}):
        yield Mistake(line=line, says=f"the column {name!r} is there twice")


def _csv_row(line: int, heading: list[str], cells: list[str]) -> Parsed:
    if len(cells) > len(heading):
        says = f"{len(cells)} cells, but {len(heading)} columns; quote cells with separators"
        return Mistake(line=line, says=says)
    try:
        values = _csv_values(dict(zip(heading, cells, strict=False)))
    except ValueError as error:
        return Mistake(line=line, says=str(error))
    return Row(line=line, values=values)


def _csv_values(cells: Mapping[str, str]) -> dict[str, Any]:
    """Turn cells into values; an empty cell is a value that is not given."""
    values: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for name, cell in cells.items():
        if not cell.strip():
            continue
        if name == _METADATA:
            metadata |= _csv_object(cell)
        elif name.startswith(f"{_METADATA}."):
            metadata[name.removeprefix(f"{_METADATA}.")] = cell
        elif name in _LISTS:
            values[name] = [part for part in re.split(r"[\s,;|]+", cell) if part]
        else:
            values[name] = _csv_number(cell) if name in _NUMBERS else cell
    return values | ({_METADATA: metadata} if metadata else {})


def _csv_object(cell: str) -> dict[str, Any]:
    try:
        value = json.loads(cell, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"metadata: no JSON: {explain(error)}") from None
    if not isinstance(value, dict):
        raise ValueError("metadata: must be a JSON object")
    return value


def _csv_number(cell: str) -> int | str:
    return int(cell) if re.fullmatch(r"\s*\d{1,9}\s*", cell) else cell
