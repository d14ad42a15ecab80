"""Where the commands live that look after the keys which sign access tokens."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus.cli import cells
from nexus.cli.at_hand import at_hand
from nexus.cli.errors import BadUsage
from nexus.cli.local import ConfigOption, DataDirOption, load, one_line_errors
from nexus.cli.output import Columns, Output
from nexus.cli.session import JsonOption

if TYPE_CHECKING:
    from pathlib import Path

    from nexus.services.signing import Keyring
    from nexus.settings import Settings

app = typer.Typer(help="Look after the keys that sign access tokens.", no_args_is_help=True)

COLUMNS: Columns = {
    "ID": cells.field("id"),
    "STATE": cells.field("state"),
    "SINCE": cells.moment("since"),
}


@app.command("list")
def list_(
    data_dir: DataDirOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """List the keys of the data folder, the newest first; never the keys themselves."""
    folder = _settings(config, data_dir).data_dir
    Output(json=json).listing(_shown(_read(folder)), COLUMNS)


@app.command()
def rotate(
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    after: Annotated[
        int,
        typer.Option(
            min=0,
            max=7 * 24 * 3600,
            help="In how many seconds the new key begins to sign: time to copy it to other nodes.",
        ),
    ] = 0,
    void: Annotated[
        bool,
        typer.Option("--void", help="Forget the keys before: all tokens are void at once."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make a new key that signs tokens; those before it verify as long as their tokens live.

    A running Nexus takes it up within two seconds.
    """
    import secrets

    from nexus.services.signing import KEY_BYTES, Keyring
    from nexus.services.tokens import LIFETIME_S
    from nexus.store.clock import wall_clock

    if void and after:
        raise BadUsage("--void takes effect at once; leave out --after")
    settings, now = _settings(config, data_dir), wall_clock()
    fresh = secrets.token_bytes(KEY_BYTES)
    ring = _read(settings.data_dir).rotated(
        fresh, now_ms=now, since_ms=now + after * 1000, lifetime_ms=LIFETIME_S * 1000
    )
    if void:
        ring = Keyring.of(fresh)
    with one_line_errors():
        _keep(settings, ring, {"void": void, "afterSeconds": after})
    when = f"from {_moment(ring.keys[0].since_ms)} on" if after else "from now on"
    sentence = f"key {ring.keys[0].id} signs {when}; {len(ring.keys) - 1} older verify"
    Output(json=json).done(sentence, {"items": _shown(ring)})


def _keep(settings: "Settings", ring: "Keyring", details: Mapping[str, Any]) -> None:
    """Write the keys and tell every tenant; before the first start there is none to tell."""
    from nexus.keys import write_signing_keys
    from nexus.services import installation, tenants

    if settings.database_url is None and not settings.database_path.exists():
        write_signing_keys(settings.data_dir, ring)
        return
    with at_hand(settings) as hand:
        for tenant in tenants.list_all(hand.tx):
            hand.tell(
                tenant["id"],
                actor="nexus keys rotate",
                action="rotate_signing_keys",
                target=ring.keys[0].id,
                details=details,
            )
        installation.note_signing_key(hand.tx, ring.keys[0].id)
        write_signing_keys(settings.data_dir, ring)


def _settings(config: "Path | None", chosen: "Path | None") -> "Settings":
    settings = load(config=config, data_dir=chosen)
    if settings.signing_secrets:
        raise BadUsage("NEXUS_JWT_SECRET takes the place of these keys; change that")
    if not settings.data_dir.is_dir():
        raise BadUsage(f"there is no data folder {settings.data_dir}; name it with --data-dir")
    return settings


def _read(folder: "Path") -> "Keyring":
    from nexus.keys import load_signing_keys

    with one_line_errors():
        return load_signing_keys(folder)


def _shown(ring: "Keyring") -> Sequence[Mapping[str, Any]]:
    from nexus.store.clock import wall_clock

    now = wall_clock()
    signing = ring.signing(now)
    states = {True: "signs", False: "verifies"}
    return [
        {
            "id": key.id,
            "state": "waits" if key.since_ms > now else states[key is signing],
            "since": _moment(key.since_ms) if key.since_ms else None,
        }
        for key in ring.keys
    ]


def _moment(epoch_ms: int) -> str:
    from oblivion.protocol import format_timestamp

    return format_timestamp(datetime.fromtimestamp(epoch_ms / 1000, UTC))
