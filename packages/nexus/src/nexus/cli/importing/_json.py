"""Where tasks are read from JSON: the elements of an array, or the lines of NDJSON."""

import json
import re
from collections.abc import Iterator
from typing import Any

from nexus.cli.importing._rows import Mistake, Parsed, Row

_SPACE = re.compile(r"[ \t\r\n]*")


def read_json(text: str) -> Iterator[Parsed]:
    """Read the elements of an array one by one, so that each knows its line."""
    place = _Place(text)
    place.skip_space()
    if not place.take("["):
        yield place.mistake("expected [, the start of an array of tasks (is it NDJSON?)")
        return
    place.skip_space()
    done = place.take("]")
    while not done:
        try:
            yield place.element()
            done = place.next_or_end()
        except (ValueError, RecursionError) as error:
            yield place.mistake(explain(error), at=getattr(error, "pos", None))
            return
    place.skip_space()
    if place.at < len(text):
        yield place.mistake("there is more after the end of the array")


class _Place:
    """Where in a JSON text the reading is."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._decoder = json.JSONDecoder(parse_constant=refuse_constant)
        self._counted = (0, 1)
        self.at = 0

    def skip_space(self) -> None:
        """Step over white space."""
        space = _SPACE.match(self._text, self.at)
        self.at = space.end() if space else self.at

    def take(self, character: str) -> bool:
        """Step over ``character`` if it is next, and say whether it was."""
        found = self._text.startswith(character, self.at)
        self.at += found
        return found

    def element(self) -> Parsed:
        """Step over a value and return it."""
        self.skip_space()
        line = self._line(self.at)
        value, self.at = self._decoder.raw_decode(self._text, self.at)
        return _object(line, value)

    def next_or_end(self) -> bool:
        """Step over the comma, or say True at the end of the array."""
        self.skip_space()
        if self.take("]"):
            return True
        if not self.take(","):
            raise ValueError("expected , or ] after a task")
        return False

    def mistake(self, says: str, at: int | None = None) -> Mistake:
        """Return what is wrong here, or at another place."""
        return Mistake(line=self._line(self.at if at is None else at), says=says)

    def _line(self, at: int) -> int:
        """Count on from where the last count ended."""
        seen, line = self._counted
        line += self._text.count("\n", seen, at)
        self._counted = (max(at, seen), line)
        return line


def read_ndjson(text: str) -> Iterator[Parsed]:
    """Read one object a line; empty lines are passed over."""
    decoder = json.JSONDecoder(parse_constant=refuse_constant)
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            yield _object(line, decoder.decode(content))
        except (ValueError, RecursionError) as error:
            yield Mistake(line=line, says=explain(error))


def _object(line: int, value: Any) -> Parsed:
    if isinstance(value, dict):
        return Row(line=line, values=value)
    return Mistake(line=line, says=f"a task is an object, not {json.dumps(value)[:40]}")


def refuse_constant(name: str) -> float:
    """Refuse NaN and Infinity, which Python would take."""
    raise ValueError(f"{name} is no JSON value")


def explain(error: ValueError | RecursionError) -> str:
    """Return what is wrong with a JSON text, without json's own place: it counts from elsewhere."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    return re.sub(r": line \d+ column \d+ \(char \d+\)$", "", str(error))
