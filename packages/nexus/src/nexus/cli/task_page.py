"""Where one task is laid out for people: what it is, what was said, what came of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from nexus.cli import cells
from nexus.cli.output import Columns, Output, clean, console

_FIELDS: Columns = {
    "id": cells.field("id"),
    "title": cells.field("title"),
    "status": cells.coloured("status"),
    "priority": cells.priority,
    "project": cells.field("projectName"),
    "group": cells.field("groupName"),
    "needs": cells.field("requiredCapabilities"),
    "agent": cells.field("agent"),
    "attempt": cells.attempts,
    "progress": cells.percent("progress"),
    "source": cells.field("sourceUrl"),
    "created": cells.moment("createdAt"),
    "updated": cells.moment("updatedAt"),
    "error": cells.long_text("error"),
}
_SECTIONS: Columns = {
    "description": cells.long_text("description"),
    "metadata": cells.json_value("metadata"),
    "thread": lambda task: Text("\n").join(_message(said) for said in task["thread"]),
    "result": cells.json_value("result"),
}


def print_task(
    task: Mapping[str, Any], thread: Sequence[Mapping[str, Any]], agent_name: str
) -> None:
    """Print a task with its thread; sections without content are left out."""
    shown = {**task, "thread": thread, "agent": agent_name}
    Output().record(shown, _FIELDS)
    screen = console()
    for heading, cell in _SECTIONS.items():
        content = cell(shown)
        if content:
            screen.print(Text(f"\n{heading}", style="bold"))
            screen.print(content)


def _message(said: Mapping[str, Any]) -> Text:
    name = said.get("username") or said.get("user") or "?"
    line = Text(f"{cells.local_time(said.get('createdAt'), '%H:%M:%S')}  ", style="dim")
    line.append(clean(str(name)), style="bold green" if said.get("isHuman") else "bold cyan")
    if said.get("deleted"):
        return line.append("  (taken back)")
    line.append(f"  {clean(str(said.get('text') or '')).rstrip()}", style="not dim")
    return line.append(" (edited)") if said.get("edited") else line
