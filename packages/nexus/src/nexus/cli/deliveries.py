"""Where the commands live that show what goes to and comes from other services."""

from typing import Annotated

import typer

from nexus.cli import cells
from nexus.cli.output import Columns
from nexus.cli.session import LimitOption, Session, calls_api

app = typer.Typer(help="See what goes to and comes from other services.", no_args_is_help=True)

PATH = "/observer/deliveries"

COLUMNS: Columns = {
    "ID": cells.field("id"),
    "BOX": cells.field("box"),
    "KIND": cells.field("kind"),
    "STATUS": cells.coloured("status"),
    "TRIES": cells.field("tries"),
    "CREATED": cells.moment("createdAt"),
    "NEXT TRY": cells.moment("dueAt"),
    "TASK": cells.field("taskId"),
    "ERROR": cells.field("error"),
}
COUNTS: Columns = {
    "BOX": cells.field("box"),
    "PENDING": cells.field("pending"),
    "FAILED": cells.field("failed"),
    "OLDEST PENDING": cells.moment("oldestPendingAt"),
}


@app.command("list", epilog="Example: nexus deliveries list --status failed --box slack-out")
@calls_api
def list_(
    session: Session,
    status: Annotated[str | None, typer.Option(help="pending, done or failed.")] = None,
    box: Annotated[str | None, typer.Option(help="Of one direction, e.g. slack-out.")] = None,
    limit: LimitOption = 50,
) -> None:
    """List deliveries, newest first, with what was wrong with each at last."""
    found = session.nexus.listing(PATH, limit=limit, status=status, box=box)
    session.out.listing(found.items, COLUMNS, hasMore=found.has_more)


@app.command()
@calls_api
def counts(session: Session) -> None:
    """Show for each box how many deliveries wait, since when, and how many failed."""
    session.out.listing(session.nexus.get(f"{PATH}/counts")["items"], COUNTS)


@app.command(epilog="Example: nexus deliveries retry 4711")
@calls_api
def retry(
    session: Session,
    deliveries: Annotated[list[int], typer.Argument(metavar="ID...", min=1, help="Their ids.")],
) -> None:
    """Have deliveries that failed tried again, each as if it were new."""
    tried = [session.nexus.post(f"{PATH}/{delivery}/retry") for delivery in deliveries]
    session.out.done(f"tried again: {', '.join(map(str, deliveries))}", {"items": tried})
