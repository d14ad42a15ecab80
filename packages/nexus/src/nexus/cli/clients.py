"""Where the commands live that let people in: admins, and viewers, who only look."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from nexus.cli import cells
from nexus.cli.addresses import segment
from nexus.cli.errors import Failed
from nexus.cli.output import Columns, note
from nexus.cli.session import LimitOption, Session, calls_api, text_or_stdin

app = typer.Typer(help="Let people in, to look or to administer.", no_args_is_help=True)


class Role(StrEnum):
    """What a person may do."""

    VIEWER = "viewer"
    ADMIN = "admin"


COLUMNS: Columns = {
    "CLIENT ID": cells.field("clientId"),
    "ROLE": cells.field("role"),
    "CREATED": cells.moment("createdAt"),
    "SHUT OUT": cells.moment("disabledAt"),
}
FIELDS: Columns = {
    "client id": cells.field("clientId"),
    "client secret": cells.field("clientSecret"),
    "role": cells.field("role"),
    "created": cells.moment("createdAt"),
}


@app.command(epilog="Example: nexus clients create ann --role viewer")
@calls_api
def create(
    session: Session,
    client_id: Annotated[
        str, typer.Argument(metavar="CLIENT_ID", help="What it asks for tokens with, e.g. ann.")
    ],
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.VIEWER,
    secret: Annotated[
        str | None,
        typer.Option(help="Its secret, - reads it from standard input; else Nexus makes one."),
    ] = None,
) -> None:
    """Make a client for a person and show its secret, once."""
    body: dict[str, Any] = {"clientId": client_id, "role": role.value}
    if secret is not None:
        body["clientSecret"] = text_or_stdin(secret)
    client = session.nexus.post("/observer/clients", body)
    if secret is None and not client.get("clientSecret"):
        raise Failed(
            f"the client {client_id} was made, but its secret got lost on the way; "
            "remove it and make another one"
        )
    session.out.record(client, FIELDS)
    if secret is None and not session.out.json:
        note("Keep the secret now; Nexus does not show it again.")


@app.command("list")
@calls_api
def list_(session: Session, limit: LimitOption = 50) -> None:
    """List the clients of people, by their ids."""
    found = session.nexus.listing("/observer/clients", limit=limit)
    session.out.listing(found.items, COLUMNS, hasMore=found.has_more)


@app.command()
@calls_api
def remove(
    session: Session,
    client_id: Annotated[str, typer.Argument(metavar="CLIENT_ID", help="Whom to shut out.")],
) -> None:
    """Shut a client out, its tokens too; what it did stays in the audit log."""
    session.nexus.delete(f"/observer/clients/{segment(client_id)}")
    session.out.done(f"shut out {client_id}", {"ok": True})
