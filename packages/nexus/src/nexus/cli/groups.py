"""Where the commands live that make groups and say who is in them."""

from typing import Annotated

import typer

from nexus.cli import cells
from nexus.cli.addresses import segment
from nexus.cli.output import Columns
from nexus.cli.session import LimitOption, Session, calls_api

app = typer.Typer(help="Make groups and say who is in them.", no_args_is_help=True)

GroupArgument = Annotated[str, typer.Argument(metavar="GROUP", help="Its slug or id.")]
AgentArgument = Annotated[str, typer.Argument(metavar="AGENT", help="Its client id or id.")]

COLUMNS: Columns = {
    "SLUG": cells.field("slug"),
    "NAME": cells.field("name"),
    "DESCRIPTION": cells.field("description"),
    "CREATED": cells.moment("createdAt"),
    "ID": cells.field("id"),
}
FIELDS: Columns = {
    "id": cells.field("id"),
    "slug": cells.field("slug"),
    "name": cells.field("name"),
    "description": cells.long_text("description"),
    "created": cells.moment("createdAt"),
    "archived": cells.moment("archivedAt"),
}
MEMBER_COLUMNS: Columns = {
    "CLIENT ID": cells.field("clientId"),
    "NAME": cells.field("name"),
    "ROLE": cells.field("role"),
    "JOINED": cells.moment("joinedAt"),
    "ID": cells.field("agentId"),
}


@app.command(epilog="Example: nexus groups create core --name 'Core team'")
@calls_api
def create(
    session: Session,
    slug: Annotated[
        str, typer.Argument(metavar="SLUG", help="Its short name: a-z, 0-9 and dashes.")
    ],
    name: Annotated[str | None, typer.Option(help="What people call it; else the slug.")] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
) -> None:
    """Make a group."""
    body = {"slug": slug, "name": name or slug, "description": description}
    session.out.record(session.nexus.post("/groups", body), FIELDS)


@app.command("list")
@calls_api
def list_(session: Session, limit: LimitOption = 50) -> None:
    """List the open groups, oldest first."""
    found = session.nexus.listing("/groups", limit=limit)
    session.out.listing(found.items, COLUMNS, hasMore=found.has_more)


@app.command()
@calls_api
def show(session: Session, group: GroupArgument) -> None:
    """Show a group."""
    session.out.record(session.nexus.get(f"/groups/{segment(group)}"), FIELDS)


@app.command()
@calls_api
def members(session: Session, group: GroupArgument, limit: LimitOption = 200) -> None:
    """List the agents of a group, in the order in which they joined."""
    found = session.nexus.listing(f"/groups/{segment(group)}/members", limit=limit)
    session.out.listing(found.items, MEMBER_COLUMNS, hasMore=found.has_more)


@app.command(epilog="Example: nexus groups add core code-reviewer")
@calls_api
def add(
    session: Session,
    group: GroupArgument,
    agent: AgentArgument,
    role: Annotated[str, typer.Option(help="What it is in the group.")] = "member",
) -> None:
    """Let an agent join a group."""
    path = f"/groups/{segment(group)}/members"
    member = session.nexus.post(path, {"agentId": agent, "role": role})
    session.out.done(f"{agent} is in {group}", member)


@app.command()
@calls_api
def remove(session: Session, group: GroupArgument, agent: AgentArgument) -> None:
    """Take an agent out of a group; what it holds it may finish."""
    # The members' path takes ids only.
    agent_id = session.nexus.get(f"/observer/agents/{segment(agent)}")["id"]
    session.nexus.delete(f"/groups/{segment(group)}/members/{segment(agent_id)}")
    session.out.done(f"{agent} is no longer in {group}", {"ok": True})


@app.command()
@calls_api
def archive(session: Session, group: GroupArgument) -> None:
    """Close a group: its tasks are no longer handed out, nothing is deleted."""
    session.nexus.delete(f"/groups/{segment(group)}")
    session.out.done(f"archived {group}", {"ok": True})
