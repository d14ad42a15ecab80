"""Where the commands live that connect Nexus with Slack and see to its channels."""

from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from nexus.cli import cells, slack_doctor
from nexus.cli.addresses import segment
from nexus.cli.errors import BadUsage, Failed
from nexus.cli.local import ConfigOption, load
from nexus.cli.output import Columns, as_json, note
from nexus.cli.session import Session, calls_api

if TYPE_CHECKING:
    from pathlib import Path

app = typer.Typer(help="Connect Nexus with Slack.", no_args_is_help=True)

app.command(epilog="Example: nexus slack doctor")(slack_doctor.doctor)

WEBHOOK = "webhooks/slack"

OwnerArgument = Annotated[
    str, typer.Argument(metavar="OWNER", help="A group or project, by slug or id.")
]

FIELDS: Columns = {
    "connected": cells.field("connected"),
    "team": cells.field("team"),
    "app": cells.field("botUserId"),
    "socket mode": cells.field("socketMode"),
    "trouble": cells.field("trouble"),
}
CHANNELS: Columns = {
    "CHANNEL": cells.field("name"),
    "OF": cells.field("ownerKind"),
    "OWNER": cells.field("ownerId"),
    "ID": cells.field("channelId"),
    "ARCHIVED": cells.moment("archivedAt"),
}
PAUSED: Columns = {
    "PAUSED AGENT": cells.field("name"),
    "BECAUSE": cells.field("reason"),
    "NOT SHOWN": cells.field("missed"),
    "SINCE": cells.moment("pausedAt"),
}
INVITED: Columns = {
    "E-MAIL": cells.field("email"),
    "INVITED": cells.field("invited"),
    "WHY NOT": cells.field("error"),
}


@app.command(epilog="Example: nexus slack manifest --url https://nexus.example.com")
def manifest(
    url: Annotated[
        str | None,
        typer.Option(
            help="The address at which Slack reaches this Nexus.", show_default="NEXUS_PUBLIC_URL"
        ),
    ] = None,
    socket_mode: Annotated[
        bool,
        typer.Option(
            "--socket-mode", help="Let Nexus open the connection; it needs no public address."
        ),
    ] = False,
    name: Annotated[str, typer.Option(help="What the app is called.")] = "Oblivion",
    config: ConfigOption = None,
) -> None:
    """Print the manifest of the app in Slack, to paste where Slack makes apps.

    Without an address the app uses Socket Mode.
    """
    from nexus.integrations.slack import manifest as form

    if socket_mode and url is not None:
        raise BadUsage("--socket-mode needs no --url; choose one of them")
    if not 0 < len(name.strip()) <= form.MAX_NAME:
        raise BadUsage(f"Slack takes names of 1 to {form.MAX_NAME} characters for an app")
    address = None if socket_mode else _webhook(url, config)
    print(as_json(form.manifest(name.strip(), url=address)))
    way = "over Socket Mode" if address is None else f"at {address}"
    note(f"Slack will reach Nexus {way}. Paste this at https://api.slack.com/apps?new_app=1")


def _webhook(url: str | None, config: "Path | None") -> str | None:
    """Return where Slack is to call, if there is an address; it calls over TLS alone."""
    address = load(config=config).public_url if url is None else url
    if address is None:
        return None
    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.netloc or parts.query or parts.fragment:
        raise BadUsage(
            f"Slack calls addresses such as https://nexus.example.com, not {address}; "
            "name another with --url, or use --socket-mode"
        )
    return f"{address.rstrip('/')}/{WEBHOOK}"


@app.command()
@calls_api
def status(session: Session) -> None:
    """Show how Slack is connected, which channels there are, and which agents are paused there."""
    found = session.nexus.get("/observer/slack")
    session.out.record(found, FIELDS)
    if session.out.json:
        return
    for items, columns in ((found["channels"], CHANNELS), (found["paused"], PAUSED)):
        if items:
            print()
            session.out.listing(items, columns)


@app.command(epilog="Example: nexus slack link web '#our-website'")
@calls_api
def link(
    session: Session,
    owner: OwnerArgument,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name or id.")],
) -> None:
    """Give a group or project a channel that is there already, instead of one of its own."""
    body = {"ownerId": owner, "channel": channel}
    linked = session.nexus.post("/observer/slack/channels", body)
    session.out.done(f"{owner} has #{linked['name']}", linked)


@app.command(epilog="Example: nexus slack invite core ada@example.com bob@example.com")
@calls_api
def invite(
    session: Session,
    owner: OwnerArgument,
    emails: Annotated[list[str], typer.Argument(metavar="EMAIL...", help="Whom.")],
) -> None:
    """Invite people into the channel of a group or project.

    The exit code is 1 if somebody could not be invited.
    """
    body = {"ownerId": owner, "emails": emails}
    items = session.nexus.post("/observer/slack/invite", body)["items"]
    session.out.listing(items, INVITED)
    missed = [item["email"] for item in items if not item["invited"]]
    if missed:
        raise Failed(f"not invited: {', '.join(missed)}")


@app.command(epilog="Example: nexus slack resume reviewer")
@calls_api
def resume(
    session: Session,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Its client id or id.")],
) -> None:
    """Have an agent shown in Slack again that was paused for going round in circles."""
    resumed = session.nexus.post(f"/observer/slack/agents/{segment(agent)}/resume")
    missed = resumed["missed"]
    session.out.done(f"{agent} is shown again; {missed} messages were not", resumed)
