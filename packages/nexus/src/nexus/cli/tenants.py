"""Where the commands live that make organisations within an installation, without a server."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus.cli import cells
from nexus.cli.at_hand import at_hand
from nexus.cli.errors import BadUsage
from nexus.cli.local import ConfigOption, DataDirOption, load, one_line_errors
from nexus.cli.output import Columns, Output, note
from nexus.cli.session import JsonOption

if TYPE_CHECKING:
    from nexus.services.tenants import CreateTenant
    from nexus.settings import Settings

app = typer.Typer(help="Make organisations that share this installation.", no_args_is_help=True)

COLUMNS: Columns = {
    "SLUG": cells.field("slug"),
    "NAME": cells.field("name"),
    "AGENTS": cells.field("agents"),
    "CREATED": cells.moment("createdAt"),
    "ID": cells.field("id"),
}
FIELDS: Columns = {
    "id": cells.field("id"),
    "slug": cells.field("slug"),
    "name": cells.field("name"),
    "admin client id": cells.field("clientId"),
    "admin client secret": cells.field("clientSecret"),
}


@app.command(epilog="Example: nexus tenants create acme --name 'Acme Ltd.'")
def create(
    slug: Annotated[
        str, typer.Argument(metavar="SLUG", help="Its short name: a-z, 0-9 and dashes.")
    ],
    name: Annotated[str | None, typer.Option(help="What people call it; else the slug.")] = None,
    admin: Annotated[
        str | None,
        typer.Option(help="The client id of its first admin.", show_default="admin-SLUG"),
    ] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make a tenant and its first admin, whose secret is shown once.

    It works on the data folder, or on the PostgreSQL of NEXUS_DATABASE_URL with the keys of the
    data folder; a server may run meanwhile.
    """
    from pydantic import ValidationError

    from nexus.services.tenants import CreateTenant

    try:
        wish = CreateTenant(slug=slug, name=name or slug, admin_client_id=admin or f"admin-{slug}")
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        said = problem["msg"].removeprefix("Value error, ")
        raise BadUsage(f"{problem['loc'][0]}: {said}") from None
    settings = load(config=config, data_dir=data_dir)
    with one_line_errors():
        made = _create(settings, wish)
    Output(json=json).record(made, FIELDS)
    if not json:
        note("Keep the secret now; Nexus does not show it again.")


def _create(settings: "Settings", wish: "CreateTenant") -> dict[str, Any]:
    from nexus.services import installation, tenants
    from nexus.services.secrets import hash_secret, make_secret
    from nexus.store.database import prepare_data_dir

    prepare_data_dir(settings.data_dir)
    secret = make_secret()
    with at_hand(settings) as hand:
        installation.bootstrap(hand.tx)  # the first one is the default, whoever comes first
        tenant_id = tenants.create(hand.tx, wish, hash_secret(secret, hand.keys.pepper))
        hand.tell(
            tenant_id,
            actor="nexus tenants create",
            action="create_tenant",
            target=tenant_id,
            details=wish.model_dump(by_alias=True),
        )
    names = {"id": tenant_id, "slug": wish.slug, "name": wish.name}
    return {**names, "clientId": wish.admin_client_id, "clientSecret": secret}


@app.command("list")
def list_(
    data_dir: DataDirOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """List the tenants of this installation, oldest first."""
    from nexus.services import installation, tenants, views
    from oblivion.protocol import format_timestamp

    settings = load(config=config, data_dir=data_dir)
    with one_line_errors(), at_hand(settings) as hand:
        installation.bootstrap(hand.tx)
        found = tenants.list_all(hand.tx)
    items = [
        {
            **{name: row[name] for name in ("id", "slug", "name", "agents")},
            "createdAt": format_timestamp(views.moment(row["created_at"])),
        }
        for row in found
    ]
    Output(json=json).listing(items, COLUMNS)
