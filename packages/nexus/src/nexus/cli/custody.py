"""Where the commands live that cut agents off and let them in again, one or all."""

from typing import Annotated, Any

import typer

from nexus.cli import cells
from nexus.cli.addresses import segment
from nexus.cli.agents import AgentArgument
from nexus.cli.errors import Failed
from nexus.cli.output import Columns, note
from nexus.cli.session import Session, calls_api

ReasonOption = Annotated[str | None, typer.Option(help="Why; people see it in the feed.")]

ROTATED: Columns = {
    "client id": cells.field("clientId"),
    "client secret": cells.field("clientSecret"),
    "old secret good until": cells.moment("oldSecretValidUntil"),
}


def add_to(app: typer.Typer) -> None:
    """Make the commands about one agent those of ``nexus agents``."""
    for command in (disconnect, logout, ban, unban):
        app.command()(command)
    app.command("rotate-secret", epilog="Example: nexus agents rotate-secret my-agent --overlap 0")(
        rotate_secret
    )


@calls_api
def disconnect(session: Session, agent: AgentArgument) -> None:
    """End an agent's session; it may connect again."""
    _act(session, agent, "disconnect", f"disconnected {agent}")


@calls_api
def logout(session: Session, agent: AgentArgument) -> None:
    """Make all tokens of an agent void and end its session; its secret gets it new ones."""
    _act(session, agent, "logout", f"logged out {agent}")


@calls_api
def ban(session: Session, agent: AgentArgument, reason: ReasonOption = None) -> None:
    """Shut an agent out at once; what it holds goes to others."""
    _act(session, agent, "ban", f"banned {agent}", reason)


@calls_api
def unban(session: Session, agent: AgentArgument) -> None:
    """Let a banned agent in again."""
    _act(session, agent, "unban", f"{agent} may come in again")


@calls_api
def rotate_secret(
    session: Session,
    agent: AgentArgument,
    overlap: Annotated[
        int,
        typer.Option(
            min=0,
            max=30 * 24 * 3600,
            help="For how many seconds the old secret stays good; 0 ends it and all tokens now.",
        ),
    ] = 24 * 3600,
) -> None:
    """Give an agent a new secret and show it, once."""
    body = {"overlapSeconds": overlap}
    made = session.nexus.post(f"/observer/agents/{segment(agent)}/rotate-secret", body)
    if not made.get("clientSecret"):
        raise Failed(f"{agent} has a new secret, but it got lost on the way; rotate it once more")
    session.out.record(made, ROTATED)
    if not session.out.json:
        note("Keep the secret now; Nexus does not show it again.")


@calls_api
def stop_all(session: Session, reason: ReasonOption = None) -> None:
    """Stop all agents: sessions end, handlers are cancelled, tasks wait, nothing is lost."""
    halt = session.nexus.post("/observer/stop-all", _because(reason))
    done = f"stopped all agents ({halt['sessions']} connected, {halt['tasks']} tasks taken back)"
    session.out.done(done, halt)


@calls_api
def resume_all(session: Session) -> None:
    """Let the agents in again after a stop; they come back by themselves."""
    halt = session.nexus.post("/observer/resume-all")
    session.out.done("agents may come in again", halt)


def _act(session: Session, agent: str, verb: str, sentence: str, reason: str | None = None) -> None:
    path = f"/observer/agents/{segment(agent)}/{verb}"
    session.out.done(sentence, session.nexus.post(path, _because(reason)))


def _because(reason: str | None) -> dict[str, Any] | None:
    return None if reason is None else {"reason": reason}
