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
    from nexus.services.sealing import SealingKey, SealingKeys
    from nexus.settings import Settings

app = typer.Typer(
    help="Keep secrets that tools need and agents must not see.", no_args_is_help=True
)

SECRETS = "/observer/secrets"

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="What settings call it, in ${secret:NAME}.")
]

PrepareOption = Annotated[
    bool,
    typer.Option(
        "--prepare",
        help="Only put the next key into secrets.key, to be copied to other nodes before it seals.",
    ),
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
    prepare: PrepareOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
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
    out = Output(json=json)
    with one_line_errors():
        settings.refuse_weak_secrets()
        source = SealingKeyFile(settings.data_dir, settings.sealing_secrets)
        if prepare:
            key = _prepare(settings, source)
            said = (
                f"key {key.id} is in {source.path}; copy the file to the other nodes, then rotate"
            )
            out.done(said, {"key": key.id, "secrets": 0})
            return
        keys, count = _reseal(settings, source)
    sentence = f"key {keys.keys[0].id} seals {count} secrets from now on"
    out.done(sentence, {"key": keys.keys[0].id, "secrets": count})


def _prepare(settings: "Settings", source: "SealingKeyFile") -> "SealingKey":
    """Put the next key beside the one that seals, and return it."""
    from nexus.services import vault
    from nexus.services.sealing import SealingKey, SealingKeys

    if source.is_chosen:
        raise BadUsage("NEXUS_SECRETS_KEY takes the place of the file; put the next key there")
    with at_hand(settings) as hand:
        vault.lock(hand.tx)
        keys, used = source.read(), vault.keys_used(hand.tx)
        if keys is None or not used:
            raise BadUsage("no secret is sealed yet, so that there is nothing to prepare")
        waiting = keys.unused(used)
        if waiting:
            return waiting[0]
        fresh = SealingKey.fresh()
        source.write(SealingKeys((*keys.keys, fresh)))
        return fresh


def _reseal(settings: "Settings", source: "SealingKeyFile") -> "tuple[SealingKeys, int]":
    """Seal all anew; at any moment the keys that are kept open whatever is stored."""
    from nexus.services import tenants, vault

    with at_hand(settings) as hand:
        vault.lock(hand.tx)
        keys = _renewed(source, vault.keys_used(hand.tx))
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


def _renewed(source: "SealingKeyFile", used: "Collection[str]") -> "SealingKeys":
    """Return the keys led by the new one: that which was prepared, or a fresh one."""
    from nexus.services.sealing import SealingKey, SealingKeys

    keys = source.read()
    if keys is not None and source.is_chosen:
        return keys
    known = () if keys is None else keys.keys
    prepared = keys.unused(used) if keys is not None and used else ()
    newest = prepared[0] if prepared else SealingKey.fresh()
    renewed = SealingKeys((newest, *(key for key in known if key is not newest)))
    source.write(renewed)
    return renewed


def _forget_idle(source: "SealingKeyFile", used: "Collection[str]") -> None:
    from nexus.services.sealing import SealingKeys

    keys = source.read()
    if keys is not None and not source.is_chosen:
        newest, *older = keys.keys
        source.write(SealingKeys((newest, *(key for key in older if key.id in used))))
