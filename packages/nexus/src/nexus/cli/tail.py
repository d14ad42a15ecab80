"""Where the command `nexus tail` lives: what happens, line by line, as it happens."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.text import Text

from nexus.cli import feed
from nexus.cli.cells import local_time
from nexus.cli.names import AgentNames
from nexus.cli.output import as_json, console, one_line
from nexus.cli.session import Session, calls_api

_COLOURS = {
    "task_done": "green",
    "task_failed": "bold red",
    "task_cancelled": "red",
    "task_retrying": "yellow",
    "task_blocked": "yellow",
    "task_assigned": "cyan",
    "message_posted": "magenta",
    "agent_connected": "blue",
    "agent_disconnected": "blue",
}
_DETAILS = ("text", "error", "message", "reason", "name", "tool", "group")
_LONGEST_DETAIL = 500


@calls_api
def tail(
    session: Session,
    since: Annotated[
        int | None,
        typer.Option(min=0, help="Begin after the entry with this id, 0 for all; else with now."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Go on, or end with what there is.")
    ] = True,
) -> None:
    """Follow what happens, live.

    With --json each line is a JSON document. Ctrl-C ends it.
    """
    nexus = session.nexus
    after = feed.newest_id(nexus) if since is None else since
    names = AgentNames(nexus)
    screen = console()
    for item in feed.follow(nexus, after) if follow else feed.read_all(nexus, after):
        if session.out.json:
            print(as_json(item, indent=None), flush=True)
        else:
            screen.print(_line(item, names), soft_wrap=True)
            screen.file.flush()


def _line(item: Mapping[str, Any], names: AgentNames) -> Text:
    data = item.get("data") or {}
    kind = str(item.get("type") or "")
    who = data.get("author") or names.of(item.get("agentId")) or data.get("by") or ""
    line = Text()
    line.append(local_time(item.get("at"), "%H:%M:%S"), style="dim")
    line.append(f"  {one_line(kind).replace('_', ' '):<18}", style=_COLOURS.get(kind, ""))
    line.append(f"  {one_line(str(who)):<16}", style="bold")
    line.append(f"  {_what(item, data)}".rstrip())
    return line


def _what(item: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    title = one_line(str(data.get("title") or ""))
    detail = next((str(data[name]) for name in _DETAILS if data.get(name)), "")
    detail = one_line(" ".join(filter(None, (_mark(item, data), detail))))
    if len(detail) > _LONGEST_DETAIL:
        detail = f"{detail[: _LONGEST_DETAIL - 3]}..."
    return ": ".join(filter(None, (title, detail)))


def _mark(item: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """Return the one value that an entry of this type is about."""
    progress = data.get("progress")
    match item.get("type"):
        case "task_created":
            return str(item.get("taskId") or "")
        case "task_progress" if isinstance(progress, int | float):
            return f"{progress:.0%}"
        case "agent_status":
            return str(data.get("status") or "")
        case _:
            return ""
