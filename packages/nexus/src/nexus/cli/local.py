"""Where commands that work on this machine, not over the API, get their settings."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus.cli.errors import BadUsage

if TYPE_CHECKING:
    from nexus.settings import Settings

DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="The folder of everything that is kept; also: NEXUS_DATA_DIR.",
        show_default="nexus-data",
    ),
]

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="The file of settings; also: NEXUS_CONFIG.",
        show_default="nexus.toml, if it is there",
    ),
]


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Let what is wrong with settings, data folder or database end the command with exit code 2."""
    from nexus.settings import SettingsError
    from nexus.store import StoreError

    try:
        yield
    except (SettingsError, StoreError) as error:
        raise BadUsage(str(error)) from error


def load(**options: Any) -> "Settings":
    """Return the settings that options, environment and file make.

    Raises:
        BadUsage: one of them is wrong.
    """
    from nexus.settings import load_settings

    with one_line_errors():
        return load_settings(**options)
