"""Where the command `nexus stats` lives."""

from typing import Any

from nexus.cli import cells
from nexus.cli.output import Columns
from nexus.cli.session import Session, calls_api

FIELDS: Columns = {
    "agents": cells.field("agents"),
    "online": cells.field("online"),
    "groups": cells.field("groups"),
    "projects": cells.field("projects"),
    "todo": cells.field("todo"),
    "claimed": cells.field("claimed"),
    "in progress": cells.field("inProgress"),
    "blocked": cells.field("blocked"),
    "done": cells.field("done"),
    "failed": cells.field("failed"),
    "cancelled": cells.field("cancelled"),
}


@calls_api
def stats(session: Session) -> None:
    """Show how many agents, groups, projects and tasks there are."""
    found: dict[str, Any] = session.nexus.get("/observer/stats")
    if session.out.json:
        session.out.record(found, FIELDS)
        return
    agents = {"agents": found["agents"]["total"], "online": found["agents"]["online"]}
    session.out.record({**found, **agents, **found["tasks"]}, FIELDS)
