"""Where the commands live with which agents ask to join, and admins decide: `nexus agents ...`."""

import secrets
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from nexus.cli import cells
from nexus.cli.addresses import segment
from nexus.cli.agents import AgentArgument
from nexus.cli.errors import BadUsage, Failed
from nexus.cli.output import Columns, note
from nexus.cli.profile import CapabilityOption, DescriptionOption, EmailOption, NameOption
from nexus.cli.session import (
    LimitOption,
    Session,
    calls_api,
    calls_as_anyone,
    text_or_stdin,
)

PENDING_PATH = "/observer/agents/pending"
BATCH = 100
"""As many as the API takes at once."""

COLUMNS: Columns = {
    "CLIENT ID": cells.field("clientId"),
    "NAME": cells.field("name"),
    "GROUP": cells.slug("pendingGroup"),
    "CAPABILITIES": cells.field("capabilities"),
    "EMAIL": cells.field("email"),
    "ASKED": cells.moment("createdAt"),
    "ID": cells.field("id"),
}
FIELDS: Columns = {
    "id": cells.field("id"),
    "client id": cells.field("clientId"),
    "client secret": cells.field("clientSecret"),
    "name": cells.field("name"),
    "approval": cells.coloured("approvalStatus"),
    "asks to join": cells.slug("pendingGroup"),
}


def add_to(app: typer.Typer) -> None:
    """Put these commands among those about agents."""
    example = "nexus agents register newcomer --token - --capability python < token.txt"
    app.command(epilog=f"Example: {example}")(register)
    app.command()(pending)
    app.command(epilog="Example: nexus agents approve newcomer latecomer")(approve)
    app.command(epilog="Example: nexus agents reject newcomer --reason 'We have one'")(reject)


@calls_as_anyone
def register(  # noqa: PLR0913, PLR0917 - each is an option
    session: Session,
    client_id: Annotated[
        str, typer.Argument(metavar="CLIENT_ID", help="What it connects with, e.g. newcomer.")
    ],
    token: Annotated[
        str,
        typer.Option(
            envvar="OBLIVION_REGISTRATION_TOKEN",
            help="The registration token, - reads it from standard input.",
        ),
    ],
    name: NameOption = None,
    description: DescriptionOption = "",
    email: EmailOption = None,
    capability: CapabilityOption = None,
    secret: Annotated[
        str | None,
        typer.Option(help="Its secret, - reads it from standard input; else one is made."),
    ] = None,
) -> None:
    """Ask to join the group of a registration token; an admin decides.

    It needs no admin's credentials. The secret is shown once.
    """
    if token == secret == "-":
        raise BadUsage("only one of --token and --secret can come from standard input")
    # Made here, so that none is lost with an answer that gets lost.
    own = f"obv_{secrets.token_urlsafe(32)}" if secret is None else text_or_stdin(secret)
    body: dict[str, Any] = {
        "registrationToken": text_or_stdin(token).strip(),
        "clientId": client_id,
        "clientSecret": own,
        "name": name or client_id,
        "description": description,
        "capabilities": capability or [],
    }
    if email is not None:
        body["email"] = email
    agent = session.nexus.post("/auth/register", body)
    shown = agent if secret is not None else {**agent, "clientSecret": own}
    session.out.record(shown, FIELDS)
    if not session.out.json:
        keep = "Keep the secret now; nobody shows it again. " if secret is None else ""
        note(f"{keep}An admin must approve the agent before it can connect.")


@calls_api
def pending(session: Session, limit: LimitOption = 50) -> None:
    """List the agents that wait for a decision, oldest first."""
    found = session.nexus.listing(PENDING_PATH, limit=limit)
    session.out.listing(found.items, COLUMNS, hasMore=found.has_more)


@calls_api
def approve(
    session: Session,
    agents: Annotated[
        list[str] | None, typer.Argument(metavar="AGENT...", help="Their client ids or ids.")
    ] = None,
    all_pending: Annotated[
        bool, typer.Option("--all-pending", help="All that wait at this moment.")
    ] = False,
) -> None:
    """Let agents in: they join the groups that they asked to join, and may connect.

    Each is decided on its own: one that is refused stops no other.
    """
    if bool(agents) == all_pending:
        raise BadUsage("name the agents to approve, or give --all-pending")
    names = _all_pending(session) if all_pending else agents or []
    decided = [each for some in _batches(names) for each in _approve(session, some)]
    if session.out.json:
        session.out.record({"items": decided}, {})
    elif not decided:
        note("none")
    refused = [each["error"]["message"] for each in decided if each.get("error")]
    if refused:
        raise Failed("; ".join(refused))


def _all_pending(session: Session) -> list[str]:
    return [agent["id"] for agent in session.nexus.listing(PENDING_PATH, limit=100_000).items]


def _batches(names: list[str]) -> Iterator[list[str]]:
    for begin in range(0, len(names), BATCH):
        yield names[begin : begin + BATCH]


def _approve(session: Session, names: list[str]) -> list[dict[str, Any]]:
    """Approve some, and say so at once: what follows may fail."""
    answer = session.nexus.post("/observer/agents/approve", {"agentIds": names})
    decided: list[dict[str, Any]] = answer["items"]
    for agent in (each["agent"] for each in decided if each.get("agent")):
        if not session.out.json:
            groups = ", ".join(group["slug"] for group in agent["groups"])
            session.out.done(f"{agent['clientId']} is in {groups or 'no group'}", agent)
    return decided


@calls_api
def reject(
    session: Session,
    agent: AgentArgument,
    reason: Annotated[str | None, typer.Option(help="Why; the agent is told.")] = None,
) -> None:
    """Do not let an agent in."""
    body = {} if reason is None else {"reason": reason}
    rejected = session.nexus.post(f"/observer/agents/{segment(agent)}/reject", body)
    session.out.done(f"rejected {agent}", rejected)
