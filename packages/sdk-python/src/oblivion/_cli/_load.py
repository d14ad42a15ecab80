"""Where the clients are found that a command line names, as ``module:client``."""

import importlib
import sys
from collections.abc import Iterable, Sequence
from functools import reduce
from pathlib import Path
from typing import cast

from oblivion import OblivionClient
from oblivion._cli._errors import CliError


def load_clients(targets: Iterable[str]) -> list[OblivionClient]:
    """Return the clients of all targets, in order; the working directory is looked into first.

    Raises:
        CliError: there is no such module, or no client in it, or one comes twice.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    clients = [client for target in targets for client in _load(target)]
    names = [client.client_id for client in clients]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CliError(
            f"{', '.join(twice)} would run twice: one session per client_id, the newer one wins"
        )
    return clients


def _load(target: str) -> list[OblivionClient]:
    module, _, path = target.partition(":")
    if module.endswith(".py") or "/" in module or "\\" in module:
        name = Path(module).stem
        raise CliError(f"name the module, not its file: {name}:{path or 'client'}")
    if not all(part.isidentifier() for part in module.split(".")):
        raise CliError(f"{target!r} does not name a client: write module:client")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise CliError(f"there is no module {error.name} here or on the Python path") from None
    return _clients(target, _attribute(target, found, path or "client"))


def _attribute(target: str, module: object, path: str) -> object:
    try:
        return reduce(getattr, path.split("."), module)
    except AttributeError:
        raise CliError(f"{target}: there is no {path} in the module") from None


def _clients(target: str, thing: object) -> list[OblivionClient]:
    """Return the client, the collection of them, or what a function without parameters makes."""
    kind = type(thing).__name__
    if isinstance(thing, OblivionClient):
        return [thing]
    if callable(thing) and not isinstance(thing, type):
        return _clients(target, thing())
    if isinstance(thing, list | tuple):
        many = cast("Sequence[object]", thing)
        clients = [one for one in many if isinstance(one, OblivionClient)]
        if clients and len(clients) == len(many):
            return clients
    raise CliError(
        f"{target} is a {kind}: name an OblivionClient, a list of them, or a "
        "function that returns one of both"
    )
