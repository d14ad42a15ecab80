"""Where values of an author are checked; each refusal says what to change."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from oblivion.errors import (
    ConfigurationError,
    ConfigurationTypeError,
    InvalidArgument,
    InvalidArgumentType,
    OblivionError,
)


@dataclass(frozen=True, kw_only=True)
class Checks:
    """Checks that raise the errors of one place: of settings, or of a call's arguments."""

    wrong_type: type[OblivionError]
    wrong_value: type[OblivionError]

    def text(self, name: str, value: object, *, empty: bool = False) -> str:
        """Return ``value`` if it is a string, and not blank unless ``empty`` is allowed."""
        if not isinstance(value, str):
            raise self.wrong_type(f"{name} must be a string, not {_kind(value)}")
        if not empty and not value.strip():
            raise self.wrong_value(f"{name} must not be empty")
        if not _encodable(value):
            raise self.wrong_value(f"{name} contains half a character (a lone surrogate)")
        return value

    def optional_text(self, name: str, value: object) -> str | None:
        """Return ``value`` if it is None or a string that is not blank."""
        return None if value is None else self.text(name, value)

    def flag(self, name: str, value: object) -> bool:
        """Return ``value`` if it is True or False."""
        if not isinstance(value, bool):
            raise self.wrong_type(f"{name} must be True or False, not {_kind(value)}")
        return value

    def whole(self, name: str, value: object, *, low: int, high: int) -> int:
        """Return ``value`` if it is an integer from ``low`` to ``high``."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong_type(f"{name} must be an integer, not {_kind(value)}")
        if not low <= value <= high:
            raise self.wrong_value(f"{name} must be from {low} to {high}, not {value}")
        return value

    def number(self, name: str, value: object, *, low: float, above: bool = False) -> float:
        """Return ``value`` as a float if it is finite and at least (or ``above``) ``low``."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong_type(f"{name} must be a number, not {_kind(value)}")
        if not math.isfinite(value) or value < low or (above and value == low):
            bound = "greater than" if above else "at least"
            raise self.wrong_value(f"{name} must be a finite number {bound} {low:g}, not {value}")
        return float(value)

    def seconds(self, name: str, value: object) -> float | None:
        """Return ``value`` if it is None (wait without end) or a positive number of seconds."""
        return None if value is None else self.number(name, value, low=0, above=True)

    def names(self, name: str, value: object) -> tuple[str, ...]:
        """Return ``value`` as a tuple if it is a collection of non-empty strings."""
        if isinstance(value, str | bytes) or not isinstance(value, Iterable):
            raise self.wrong_type(f'{name} must be a list of strings such as ["python"]')
        members = cast("Iterable[object]", value)
        return tuple(self.text(f"each of {name}", member) for member in members)


SETTINGS = Checks(wrong_type=ConfigurationTypeError, wrong_value=ConfigurationError)
ARGUMENTS = Checks(wrong_type=InvalidArgumentType, wrong_value=InvalidArgument)


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
