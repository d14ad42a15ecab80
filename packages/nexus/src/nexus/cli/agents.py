"""Where the commands live that make, show and wake agents."""

from typing import Annotated, Any

import typer

from nexus.cli import cells
from nexus.cli.addresses import segment
from nexus.cli.errors import Failed
from nexus.cli.output import Columns, note
from nexus.cli.profile import CapabilityOption, DescriptionOption, EmailOption, NameOption
from nexus.cli.session import LimitOption, Session, calls_api, text_or_stdin

app = typer.Typer(help="Make, show and wake agents.", no_args_is_help=True)

AgentArgument = Annotated[str, typer.Argument(metavar="AGENT", help="Its client id or id.")]

COLUMNS: Columns = {
    "CLIENT ID": cells.field("clientId"),
    "NAME": cells.field("name"),
    "STATUS": cells.coloured("connectionStatus"),
    "APPROVAL": cells.coloured("approvalStatus"),
    "CAPABILITIES": cells.field("capabilities"),
    "LAST SEEN": cells.moment("lastSeenAt"),
    "ID": cells.field("id"),
}
FIELDS: Columns = {
    "id": cells.field("id"),
    "client id": cells.field("clientId"),
    "client secret": cells.field("clientSecret"),
    "name": cells.field("name"),
    "description": cells.long_text("description"),
    "email": cells.field("email"),
    "status": cells.coloured("connectionStatus"),
    "says": cells.field("statusMessage"),
    "approval": cells.coloured("approvalStatus"),
    "asks to join": cells.slug("pendingGroup"),
    "rejected because": cells.long_text("rejectionReason"),
    "capabilities": cells.field("capabilities"),
    "groups": cells.slugs("groups"),
    "tasks": cells.field("currentTaskIds"),
    "version": cells.field("version"),
    "last seen": cells.moment("lastSeenAt"),
    "created": cells.moment("createdAt"),
}


@app.command(epilog="Example: nexus agents create code-reviewer --group core --capability python")
@calls_api
def create(  # noqa: PLR0913, PLR0917 - each is an option
    session: Session,
    client_id: Annotated[
        str, typer.Argument(metavar="CLIENT_ID", help="What it connects with, e.g. code-reviewer.")
    ],
    name: NameOption = None,
    description: DescriptionOption = "",
    email: EmailOption = None,
    capability: CapabilityOption = None,
    group: Annotated[
        list[str] | None, typer.Option(help="A group to join, by slug or id; may be repeated.")
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(help="Its secret, - reads it from standard input; else Nexus makes one."),
    ] = None,
) -> None:
    """Make an agent and show its secret, once."""
    body: dict[str, Any] = {
        "clientId": client_id,
        "name": name or client_id,
        "description": description,
        "capabilities": capability or [],
        "groupIds": group or [],
    }
    if email is not None:
        body["email"] = email
    if secret is not None:
        body["clientSecret"] = text_or_stdin(secret)
    agent = session.nexus.post("/observer/agents", body)
    if secret is None and not agent.get("clientSecret"):
        raise Failed(
            f"the agent {client_id} was made, but its secret got lost on the way; "
            "make another one under a new client id"
        )
    session.out.record(agent, FIELDS)
    if secret is None and not session.out.json:
        note("Keep the secret now; Nexus does not show it again.")


@app.command("list")
@calls_api
def list_(session: Session, limit: LimitOption = 50) -> None:
    """List agents, oldest first."""
    found = session.nexus.listing("/observer/agents", limit=limit)
    session.out.listing(found.items, COLUMNS, hasMore=found.has_more)


@app.command()
@calls_api
def show(session: Session, agent: AgentArgument) -> None:
    """Show an agent, its connection and what it holds."""
    session.out.record(session.nexus.get(f"/observer/agents/{segment(agent)}"), FIELDS)


@app.command(epilog="Example: nexus agents wake code-reviewer --message 'The build is red'")
@calls_api
def wake(
    session: Session,
    agent: AgentArgument,
    task: Annotated[str | None, typer.Option(help="The task it is about.")] = None,
    message: Annotated[str | None, typer.Option(help="What to tell it.")] = None,
) -> None:
    """Call for an agent's attention.

    An agent that is away hears it when it is back.
    """
    given = {"taskId": task, "message": message}
    body = {name: value for name, value in given.items() if value is not None}
    answer = session.nexus.post(f"/observer/agents/{segment(agent)}/wake", body)
    session.out.done(f"woke {agent}", answer or {"ok": True, "agent": agent})
