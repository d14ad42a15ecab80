"""Where the commands live that connect Nexus with Slack."""

from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from nexus.cli.errors import BadUsage
from nexus.cli.local import ConfigOption, load
from nexus.cli.output import as_json, note

if TYPE_CHECKING:
    from pathlib import Path

app = typer.Typer(help="Connect Nexus with Slack.", no_args_is_help=True)

WEBHOOK = "webhooks/slack"


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
