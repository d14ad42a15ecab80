"""Where the commands live for admins who have lost their secret, on the machine of the data."""

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from nexus.cli import cells
from nexus.cli.errors import BadUsage, Failed
from nexus.cli.local import ConfigOption, DataDirOption, load, one_line_errors
from nexus.cli.output import Columns, Output, note
from nexus.cli.session import JsonOption

if TYPE_CHECKING:
    from nexus.domain.audit_chain import End
    from nexus.keys import AdminCredentials
    from nexus.settings import Settings
    from nexus.store import Tx

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
    """Store a new secret, and keep it where the first admin's is kept."""
    from nexus.audit_anchor import advance
    from nexus.keys import AdminCredentials, load_keys, write_admin_credentials
    from nexus.services.secrets import make_secret
    from nexus.store import Tx, open_database
    from nexus.store.clock import wall_clock

    if not settings.data_dir.is_dir():
        raise BadUsage(f"there is no data folder {settings.data_dir}; name it with --data-dir")
    made = AdminCredentials(client_id=client_id, client_secret=make_secret())
    pepper = load_keys(settings.data_dir, settings.signing_secrets).pepper
    with contextlib.closing(open_database(settings.database)) as database:
        database.migrate()
        with database.writer.begin() as connection:
            end = _put(Tx(connection, wall_clock()), made, pepper)
    if end is None:
        return None
    advance(settings.data_dir, {end.tenant_id: end})
    if client_id == settings.admin_client_id:
        write_admin_credentials(settings.data_dir, made)
    return made


def _put(tx: "Tx", made: "AdminCredentials", pepper: bytes) -> "End | None":
    """Store the secret and say so in the audit log; None where there is no such admin."""
    from nexus.domain.audit_chain import audit_key
    from nexus.services import audit
    from nexus.services.installation import reset_admin
    from nexus.services.secrets import hash_secret

    tenant_id = reset_admin(tx, made.client_id, hash_secret(made.client_secret, pepper))
    if tenant_id is None:
        return None
    act = audit.Act(
        actor="nexus admin reset-secret",
        role=audit.INSTALLATION,
        action="reset_admin_secret",
        target=made.client_id,
    )
    return audit.append(tx, audit_key(pepper), tenant_id, act)
