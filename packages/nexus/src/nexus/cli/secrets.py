"""Where the commands live that look after the secrets of tools and the key that seals them."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from nexus.cli import cells
from nexus.cli.addresses import segment
from nexus.cli.at_hand import at_hand
from nexus.cli.errors import BadUsage
from nexus.cli.local import ConfigOption, DataDirOption, load, one_line_errors
from nexus.cli.output import Columns, Output
from nexus.cli.session import JsonOption, Session, calls_api, text_or_stdin

if TYPE_CHECKING:
    from collections.abc import Collection

    from nexus.sealing_keys import SealingKeyFile
    from nexus.services.sealing import SealingKeys
    from nexus.settings import Settings

app = typer.Typer(
    help="Keep secrets that tools need and agents must not see.", no_args_is_help=True
)

SECRETS = "/observer/secrets"

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="What settings call it, in ${secret:NAME}.")
]

COLUMNS: Columns = {
    "NAME": cells.field("name"),
    "SET BY": cells.field("setBy"),
    "SET": cells.moment("setAt"),
}
FIELDS: Columns = {name.lower(): cell for name, cell in COLUMNS.items()}


@app.command("set", epilog="Example: nexus secrets set github < token.txt")
@calls_api
def set_(session: Session, name: NameArgument) -> None:
    """Keep a secret; it is asked for in a terminal, and else read from standard input."""
    made = session.nexus.post(SECRETS, {"name": name, "secret": _asked(name)})
    session.out.record(made, FIELDS)


def _asked(name: str) -> str:
    if not sys.stdin.isatty():
        return text_or_stdin("-").rstrip("\r\n")
    secret: str = typer.prompt(f"The secret {name}", hide_input=True, err=True)
    return secret


@app.command("list")
@calls_api
def list_(session: Session) -> None:
    """List the names of the secrets; never the secrets themselves."""
    session.out.listing(session.nexus.get(SECRETS)["items"], COLUMNS)


@app.command()
@calls_api
def remove(session: Session, name: NameArgument) -> None:
    """Forget a secret; tools that name it cannot be used until it is set anew."""
    session.nexus.delete(f"{SECRETS}/{segment(name)}")
    session.out.done(f"removed {name}", {"ok": True})


@app.command()
def rotate(
    data_dir: DataDirOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Make a new key, and seal all secrets of this installation with it; the old one is forgotten.

    It works on the data folder, or on the PostgreSQL of NEXUS_DATABASE_URL with the key of the
    data folder; a server may run meanwhile. Where NEXUS_SECRETS_KEY takes the place of the file,
    secrets are sealed with that.
    """
    from nexus.sealing_keys import SealingKeyFile

    settings = load(config=config, data_dir=data_dir)
    if not settings.data_dir.is_dir():
        raise BadUsage(f"there is no data folder {settings.data_dir}; name it with --data-dir")
    with one_line_errors():
        settings.refuse_weak_secrets()
        source = SealingKeyFile(settings.data_dir, settings.sealing_secrets)
        keys, count = _reseal(settings, source)
    sentence = f"key {keys.keys[0].id} seals {count} secrets from now on"
    Output(json=json).done(sentence, {"key": keys.keys[0].id, "secrets": count})


def _reseal(settings: "Settings", source: "SealingKeyFile") -> "tuple[SealingKeys, int]":
    """Seal all anew; at any moment the keys that are kept open whatever is stored."""
    from nexus.services import tenants, vault

    with at_hand(settings) as hand:
        vault.lock(hand.tx)
        keys = _renewed(source)
        counts = vault.reseal(hand.tx, keys)
        for tenant in tenants.list_all(hand.tx):
            hand.tell(
                tenant["id"],
                actor="nexus secrets rotate",
                action="rotate_secrets_key",
                target=keys.keys[0].id,
                details={"resealed": counts.get(tenant["id"], 0)},
            )
    with at_hand(settings) as hand:
        vault.lock(hand.tx)
        _forget_idle(source, vault.keys_used(hand.tx))
    return keys, sum(counts.values())


def _renewed(source: "SealingKeyFile") -> "SealingKeys":
    from nexus.services.sealing import SealingKey, SealingKeys

    keys = source.read()
    if keys is not None and source.is_chosen:
        return keys
    renewed = SealingKeys((SealingKey.fresh(), *(keys.keys if keys else ())))
    source.write(renewed)
    return renewed


def _forget_idle(source: "SealingKeyFile", used: "Collection[str]") -> None:
    from nexus.services.sealing import SealingKeys

    keys = source.read()
    if keys is not None and not source.is_chosen:
        newest, *older = keys.keys
        source.write(SealingKeys((newest, *(key for key in older if key.id in used))))
