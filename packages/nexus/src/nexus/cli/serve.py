"""Where the command `nexus serve` lives."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from nexus import __version__
from nexus.cli.local import ConfigOption, DataDirOption, load, one_line_errors

if TYPE_CHECKING:
    from nexus.server import Serving
    from nexus.settings import Settings


class LogLevel(StrEnum):
    """How much the server logs."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def serve(
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="The port to answer on, 0 takes a free one; also: NEXUS_PORT.",
            show_default="3000",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="The address to answer on, 0.0.0.0 for all; also: NEXUS_HOST.",
            show_default="127.0.0.1",
        ),
    ] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    log_level: Annotated[
        LogLevel | None,
        typer.Option(help="How much to log; also: NEXUS_LOG_LEVEL.", show_default="info"),
    ] = None,
    dev: Annotated[
        bool, typer.Option("--dev", help="Take weak secrets too, on your own machine.")
    ] = False,
) -> None:
    """Start Nexus.

    The first Ctrl-C drains and stops it, a second one stops it at once.
    """
    settings = load(
        config=config,
        port=port,
        host=host,
        data_dir=data_dir,
        log_level=log_level,
        dev=dev or None,
    )

    from nexus.server import run
    from nexus.telemetry import configure_logging

    configure_logging(settings.log_level)
    with one_line_errors():
        run(settings, lambda serving: _announce(settings, serving))


def _announce(settings: "Settings", serving: "Serving") -> None:
    data = settings.data_dir.resolve()
    print(f"Nexus {__version__} answers at {serving.url}, data in {data}{_elsewhere(serving)}")
    admin = serving.nexus.new_admin
    if admin is not None:
        print(f"  admin client id      {admin.client_id}")
        print(f"  admin client secret  {admin.client_secret}")
        print("  (shown once; kept in admin-credentials.json there, for you only)")
    wanted = settings.sign_in_link
    # Where others read what is printed, nobody shall get in by that.
    if sys.stdout.isatty() if wanted is None else wanted:
        path = serving.nexus.observer.link(settings.admin_client_id)
        print(f"  Observer, for you    {serving.url}{path}")
        print("  (signs you in once, within 15 minutes)")
    print("Ctrl-C stops it.", flush=True)


def _elsewhere(serving: "Serving") -> str:
    database = serving.nexus.database
    return f" and {database.name}" if database.is_shared else ""
