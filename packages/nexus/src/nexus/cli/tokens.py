"""Where the commands live that make and revoke registration tokens."""

import math
from typing import Annotated

import typer

from nexus.cli import cells
from nexus.cli.addresses import segment
from nexus.cli.errors import BadUsage, Failed
from nexus.cli.output import Columns, note
from nexus.cli.session import LimitOption, Session, calls_api

app = typer.Typer(help="Invite agents: registration tokens.", no_args_is_help=True)

PATH = "/observer/registration-tokens"

COLUMNS: Columns = {
    "NAME": cells.field("name"),
    "GROUP": cells.field("groupName"),
    "STATE": cells.coloured("state"),
    "USES": cells.uses,
    "EXPIRES": cells.moment("expiresAt"),
    "CREATED": cells.moment("createdAt"),
    "ID": cells.field("id"),
}
FIELDS: Columns = {
    "id": cells.field("id"),
    "token": cells.field("token"),
    "name": cells.field("name"),
    "group": cells.field("groupName"),
    "state": cells.coloured("state"),
    "uses": cells.uses,
    "expires": cells.moment("expiresAt"),
    "created": cells.moment("createdAt"),
}


@app.command(epilog="Example: nexus tokens create --group core --expires-in-hours 24 --max-uses 10")
@calls_api
def create(
    session: Session,
    group: Annotated[str, typer.Option(help="The group to join, by slug or id.")],
    name: Annotated[str | None, typer.Option(help="What it is for, e.g. a workshop.")] = None,
    expires_in_hours: Annotated[
        float | None, typer.Option(help="For how many hours it is good; else without end.")
    ] = None,
    expires_at: Annotated[
        str | None, typer.Option(help="Until when it is good, e.g. 2027-01-31T18:00:00Z.")
    ] = None,
    max_uses: Annotated[
        int | None, typer.Option(help="How many agents may use it; else any number.")
    ] = None,
) -> None:
    """Make a registration token and show it, once."""
    if expires_in_hours is not None and not math.isfinite(expires_in_hours):
        raise BadUsage("--expires-in-hours: must be a number of hours")
    given = {
        "groupId": group,
        "name": name,
        "expiresInHours": expires_in_hours,
        "expiresAt": expires_at,
        "maxUses": max_uses,
    }
    token = session.nexus.post(PATH, {key: it for key, it in given.items() if it is not None})
    if not token.get("token"):
        raise Failed(
            "the token was made, but it got lost on the way; "
            f"`nexus tokens revoke {token.get('id')}` and make another one"
        )
    session.out.record(token, FIELDS)
    if not session.out.json:
        note("Keep the token now; Nexus does not show it again.")


@app.command("list")
@calls_api
def list_(session: Session, limit: LimitOption = 50) -> None:
    """List registration tokens, oldest first; never the tokens themselves."""
    found = session.nexus.listing(PATH, limit=limit)
    session.out.listing(found.items, COLUMNS, hasMore=found.has_more)


@app.command()
@calls_api
def revoke(
    session: Session,
    token: Annotated[str, typer.Argument(metavar="ID", help="Its id, not the token itself.")],
) -> None:
    """Let nobody else in with a token.

    Who asked to join already still waits for a decision.
    """
    session.nexus.delete(f"{PATH}/{segment(token)}")
    session.out.done(f"revoked {token}", {"ok": True})
