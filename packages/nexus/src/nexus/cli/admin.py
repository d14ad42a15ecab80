"""Where the commands live for admins who have lost their secret, on the machine of the data."""

from typing import TYPE_CHECKING, Annotated

import typer

from nexus.cli import cells
from nexus.cli.at_hand import at_hand
from nexus.cli.errors import BadUsage, Failed
from nexus.cli.local import ConfigOption, DataDirOption, load, one_line_errors
from nexus.cli.output import Columns, Output, note
from nexus.cli.session import JsonOption

if TYPE_CHECKING:
    from nexus.keys import AdminCredentials
    from nexus.settings import Settings

app = typer.Typer(help="Mend an admin's access, on the machine of the data.", no_args_is_help=True)

FIELDS: Columns = {
    "client id": cells.field("clientId"),
    "client secret": cells.field("clientSecret"),
}


@app.callback()
def commands() -> None:
    """Mend an admin's access, on the machine of the data."""


@app.command("reset-secret")
def reset_secret(
    client_id: Annotated[
        str | None,
        typer.Argument(metavar="CLIENT_ID", help="Whose secret; else the first admin's."),
    ] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Give an admin who lost the secret a new one and show it, once; all its tokens are void.

    It works on the data themselves, whether or not Nexus runs, so it wants access to the machine.
    """
    settings = load(config=config, data_dir=data_dir)
    whose = client_id or settings.admin_client_id
    if settings.admin_client_secret is not None and whose == settings.admin_client_id:
        raise BadUsage("NEXUS_ADMIN_CLIENT_SECRET sets this secret; change it there and restart")
    with one_line_errors():
        made = _reset(settings, whose)
    if made is None:
        raise Failed(f"there is no admin with the client id {whose!r}")
    shown = {"clientId": made.client_id, "clientSecret": made.client_secret}
    Output(json=json).record(shown, FIELDS)
    if not json:
        note("Keep the secret now; Nexus does not show it again.")


def _reset(settings: "Settings", client_id: str) -> "AdminCredentials | None":
    """Store a new secret, and keep it where the first admin's is kept; None without such admin."""
    from nexus.keys import AdminCredentials, write_admin_credentials
    from nexus.services.installation import reset_admin
    from nexus.services.secrets import hash_secret, make_secret

    if not settings.data_dir.is_dir():
        raise BadUsage(f"there is no data folder {settings.data_dir}; name it with --data-dir")
    made = AdminCredentials(client_id=client_id, client_secret=make_secret())
    with at_hand(settings) as hand:
        hashed = hash_secret(made.client_secret, hand.keys.pepper)
        tenant_id = reset_admin(hand.tx, client_id, hashed)
        if tenant_id is None:
            return None
        hand.tell(
            tenant_id,
            actor="nexus admin reset-secret",
            action="reset_admin_secret",
            target=client_id,
        )
    if client_id == settings.admin_client_id:
        write_admin_credentials(settings.data_dir, made)
    return made
