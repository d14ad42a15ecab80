"""Where the values live that a file of tasks is read into: rows that know their line."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a file says about one task, and on which line (from 1) it begins."""

    line: int
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """What is wrong on a line."""

    line: int
    says: str


Parsed = Row | Mistake
