"""Where values become what people read: times, priorities, statuses in their colours."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from rich.text import Text

from nexus.cli.output import as_json, clean, one_line

Cell = Callable[[Mapping[str, Any]], Text]

PRIORITIES = {1: "1 urgent", 2: "2 high", 3: "3 normal", 4: "4 low"}

_COLOURS = {
    "DONE": "green",
    "FAILED": "red",
    "CANCELLED": "red",
    "BLOCKED_ON_HUMAN": "yellow",
    "IN_PROGRESS": "cyan",
    "CLAIMED": "cyan",
    "working": "cyan",
    "idle": "green",
    "connected": "green",
    "error": "red",
    "APPROVED": "green",
    "PENDING": "yellow",
    "REJECTED": "red",
    "active": "green",
    "expired": "yellow",
    "used_up": "yellow",
    "revoked": "red",
    "pending": "yellow",
    "done": "green",
    "failed": "red",
}


def field(name: str) -> Cell:
    """Return a cell that shows a field, empty when it is absent; lists are joined by commas."""

    def cell(item: Mapping[str, Any]) -> Text:
        value = item.get(name)
        if isinstance(value, list):
            value = ", ".join(str(part) for part in value)
        return Text("" if value is None else one_line(str(value)))

    return cell


def slugs(name: str) -> Cell:
    """Return a cell that names the things of a list by their slugs."""
    return lambda item: Text(", ".join(one_line(each["slug"]) for each in item.get(name) or ()))


def slug(name: str) -> Cell:
    """Return a cell that names a thing by its slug, empty when it is absent."""
    return lambda item: Text(one_line(str((item.get(name) or {}).get("slug") or "")))


def long_text(name: str) -> Cell:
    """Return a cell that keeps the line breaks of a text."""
    return lambda item: Text(clean(str(item.get(name) or "")).rstrip())


def coloured(name: str) -> Cell:
    """Return a cell that shows a status in its colour."""

    def cell(item: Mapping[str, Any]) -> Text:
        value = one_line(str(item.get(name) or ""))
        return Text(value, style=_COLOURS.get(value, ""))

    return cell


def moment(name: str) -> Cell:
    """Return a cell that shows a time in the user's time zone."""
    return lambda item: Text(local_time(item.get(name)))


def local_time(value: Any, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return an RFC 3339 time in the user's time zone; what is no time stays as it is."""
    try:
        return datetime.fromisoformat(value).astimezone().strftime(form)
    except (TypeError, ValueError):
        return "" if value is None else one_line(str(value))


def priority(item: Mapping[str, Any]) -> Text:
    """Show a task's priority with its word."""
    value = item.get("priority")
    words = PRIORITIES.get(value) if isinstance(value, int) else None
    return Text(words or str(value or ""))


def attempts(item: Mapping[str, Any]) -> Text:
    """Show which attempt a task is in, of how many."""
    return Text(f"{item.get('attempt') or 0} of {item.get('maxAttempts') or 0}")


def uses(item: Mapping[str, Any]) -> Text:
    """Show how often a token was used, of how many times."""
    most = item.get("maxUses")
    return Text(f"{item.get('uses') or 0}" + (f" of {most}" if most else ""))


def percent(name: str) -> Cell:
    """Return a cell that shows a share of 1 as a percentage."""

    def cell(item: Mapping[str, Any]) -> Text:
        value = item.get(name)
        return Text(f"{value:.0%}" if isinstance(value, int | float) else "")

    return cell


def json_value(name: str) -> Cell:
    """Return a cell that shows texts as they are and other values as JSON, nothing when empty."""

    def cell(item: Mapping[str, Any]) -> Text:
        value = item.get(name)
        if value in (None, "", [], {}):
            return Text("")
        return Text(clean(value if isinstance(value, str) else as_json(value)).rstrip())

    return cell


def compact(name: str) -> Cell:
    """Return a cell that shows an object on one line, nothing when it is empty."""

    def cell(item: Mapping[str, Any]) -> Text:
        value = item.get(name)
        return Text(one_line(as_json(value, indent=None)) if value else "")

    return cell
