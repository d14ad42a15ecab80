"""Where log lines are made: structlog around the standard library's loggers.

Nothing is configured globally: lines go to ``logging.getLogger("oblivion...")`` and appear where
the application sends them. structlog is loaded with the first line that somebody wants to see.
"""

import logging
from dataclasses import dataclass, field
from functools import cache
from typing import Any

_FIRST_KEYS = ("event",)


@dataclass(frozen=True, slots=True)
class Log:
    """A logger with ids bound to it; an event is a snake_case word with fields."""

    target: logging.Logger
    bound: dict[str, Any] = field(default_factory=dict[str, Any])

    def bind(self, **ids: Any) -> "Log":
        """Return a logger that adds ``ids`` to every line."""
        return Log(self.target, {**self.bound, **ids})

    def debug(self, event: str, **fields: Any) -> None:
        """Log what helps to follow the client step by step."""
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Log what an operator wants to know."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log what went wrong and was survived."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Log what went wrong and needs somebody."""
        self._write(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Log the exception that is being handled, with its traceback."""
        self._write(logging.ERROR, event, {**fields, "exc_info": True})

    def _write(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if self.target.isEnabledFor(level):
            _structured(self.target.name).log(level, event, **self.bound, **fields)


def get_log(part: str) -> Log:
    """Return the logger of one part of the SDK, e.g. ``oblivion.session``."""
    return Log(logging.getLogger(f"oblivion.{part}"))


@cache
def _structured(name: str) -> Any:
    import structlog  # noqa: PLC0415 - takes longer to load than all the rest

    render = structlog.processors.LogfmtRenderer(key_order=_FIRST_KEYS)

    def to_line(logger: Any, method: str, event_dict: Any) -> tuple[tuple[str], dict[str, Any]]:
        passed_on = {"exc_info": event_dict.pop("exc_info", None)}
        shown = {k: _printable(v) for k, v in event_dict.items() if v is not None}
        return (render(logger, method, shown),), passed_on

    return structlog.wrap_logger(
        logging.getLogger(name), processors=[to_line], wrapper_class=structlog.stdlib.BoundLogger
    )


def _printable(value: Any) -> Any:
    """Escape control characters, so that a task's title cannot steer a terminal."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
