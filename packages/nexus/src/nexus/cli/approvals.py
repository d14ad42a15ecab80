"""Where the commands live with which a person decides about calls of tools."""

from typing import Annotated, Any

import typer

from nexus.cli import cells
from nexus.cli.addresses import segment
from nexus.cli.output import Columns
from nexus.cli.session import LimitOption, Session, calls_api

app = typer.Typer(help="Approve or deny calls of tools.", no_args_is_help=True)

PATH = "/observer/approvals"

CallArgument = Annotated[str, typer.Argument(metavar="ID", help="The id of the call.")]
ReasonOption = Annotated[str | None, typer.Option(help="Why.")]

COLUMNS: Columns = {
    "AGENT": cells.field("agentName"),
    "TOOL": cells.field("name"),
    "PARAMS": cells.compact("params"),
    "TASK": cells.field("taskId"),
    "RULE": cells.field("rule"),
    "EXPIRES": cells.moment("expiresAt"),
    "ID": cells.field("id"),
}


@app.command("list")
@calls_api
def list_(session: Session, limit: LimitOption = 50) -> None:
    """List the calls that wait for a person, oldest first, exactly as they would be made."""
    found = session.nexus.listing(PATH, limit=limit)
    session.out.listing([_named(one) for one in found.items], COLUMNS, hasMore=found.has_more)


@app.command(epilog="Example: nexus approvals approve 01m84j1wwxmc2jmh6e")
@calls_api
def approve(session: Session, call: CallArgument, reason: ReasonOption = None) -> None:
    """Approve exactly this call, once."""
    _decide(session, call, "approve", reason)


@app.command(epilog="Example: nexus approvals deny 01m84j1wwxmc2jmh6e --reason 'not on a Friday'")
@calls_api
def deny(session: Session, call: CallArgument, reason: ReasonOption = None) -> None:
    """Deny a call; the agent is told the reason."""
    _decide(session, call, "deny", reason)


def _decide(session: Session, call: str, verb: str, reason: str | None) -> None:
    body = {} if reason is None else {"reason": reason}
    decided = _named(session.nexus.post(f"{PATH}/{segment(call)}/{verb}", body))
    done = {"approve": "approved", "deny": "denied"}[verb]
    session.out.done(f"{done} {decided['name']} of {decided['agentName']}", decided)


def _named(call: dict[str, Any]) -> dict[str, Any]:
    return {**call, "name": f"{call['tool']}.{call['action']}"}
