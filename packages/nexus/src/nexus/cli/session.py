"""Where a command that calls the API gets what it needs: the shared options and an open client."""

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from nexus.cli.credentials import Credentials, Wish, find_credentials
from nexus.cli.errors import BadUsage
from nexus.cli.output import Output

if TYPE_CHECKING:
    from nexus.cli.client import Client

P = ParamSpec("P")
DEFAULT_URL = "http://localhost:3000"
_PANEL = "Connection"

UrlOption = Annotated[
    str,
    typer.Option("--url", envvar="NEXUS_URL", help="Where Nexus is.", rich_help_panel=_PANEL),
]
ClientIdOption = Annotated[
    str | None,
    typer.Option(
        "--client-id",
        envvar="NEXUS_ADMIN_CLIENT_ID",
        help="Whose credentials to use.",
        rich_help_panel=_PANEL,
    ),
]
ClientSecretOption = Annotated[
    str | None,
    typer.Option(
        "--client-secret",
        envvar="NEXUS_ADMIN_CLIENT_SECRET",
        help="Its secret; better given in the environment.",
        show_envvar=True,
        rich_help_panel=_PANEL,
    ),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="NEXUS_DATA_DIR",
        help="The folder of a local Nexus, whose admin credentials are used without others.",
        rich_help_panel=_PANEL,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many at most.")]

_CONNECTION: dict[str, tuple[Any, Any]] = {
    "connection_url": (UrlOption, DEFAULT_URL),
    "connection_client_id": (ClientIdOption, None),
    "connection_client_secret": (ClientSecretOption, None),
    "connection_data_dir": (DataDirOption, None),
}
"""Parameter names that no command uses for something else; without the prefix, fields of Wish."""

_SHARED = {"json": (JsonOption, False)} | _CONNECTION


@dataclass(frozen=True, kw_only=True)
class Session:
    """What a command works with: Nexus on one side, the user on the other."""

    nexus: "Client"
    out: Output


def calls_api(command: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    """Give a command the shared options, and a session made of them as its first argument."""
    return _in_session(command, _SHARED, find_credentials)


def calls_as_anyone(command: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    """Give a command that needs no credentials the options for where, and such a session."""
    shared = {name: _SHARED[name] for name in ("json", "connection_url")}
    return _in_session(command, shared, lambda _wish: None)


def _in_session(
    command: Callable[Concatenate[Session, P], None],
    shared: Mapping[str, tuple[Any, Any]],
    credentials_of: Callable[[Wish], Credentials | None],
) -> Callable[..., None]:
    @functools.wraps(command)
    def run(*args: Any, json: bool, **options: Any) -> None:
        from nexus.cli.client import Client, open_http

        connection = {name: options.pop(name) for name in _CONNECTION if name in shared}
        wish = Wish(**{name.removeprefix("connection_"): connection[name] for name in connection})
        http = open_http(wish.url)
        with Client(http, credentials_of(wish)) as nexus:
            command(Session(nexus=nexus, out=Output(json=json)), *args, **options)

    own = list(inspect.signature(command).parameters.values())[1:]
    parameters = [*own, *_shared_parameters(shared)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _shared_parameters(shared: Mapping[str, tuple[Any, Any]]) -> list[inspect.Parameter]:
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
        for name, (kind, default) in shared.items()
    ]


def text_or_stdin(text: str) -> str:
    """Return ``text``, or all of standard input for ``-``.

    Raises:
        BadUsage: standard input is not UTF-8 text.
    """
    if text != "-":
        return text
    try:
        return sys.stdin.read().rstrip("\n")
    except UnicodeDecodeError as error:
        raise BadUsage("standard input is not UTF-8 text") from error
