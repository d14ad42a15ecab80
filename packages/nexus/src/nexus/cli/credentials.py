"""Where it is found out whose credentials a command uses: options, environment, data folder."""

import json
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from nexus.cli.errors import BadUsage

FILE_NAME = "admin-credentials.json"
_ID_VARIABLE = "NEXUS_ADMIN_CLIENT_ID"
_SECRET_VARIABLE = "NEXUS_ADMIN_CLIENT_SECRET"
_WAYS = (
    f"give --client-id and --client-secret, set {_ID_VARIABLE} and {_SECRET_VARIABLE}, "
    "or point --data-dir at the folder of a local Nexus"
)


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A client's id and secret; ``source`` says where they came from, for error messages."""

    client_id: str
    client_secret: str = field(repr=False)
    source: str


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the command line and the environment say about where Nexus is and who is asking."""

    url: str
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    data_dir: Path
    data_dir_is_given: bool = False


def is_local(url: str) -> bool:
    """Return whether ``url`` names this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def find_credentials(wish: Wish) -> Credentials:
    """Return the credentials to use: a given pair, else those that a local Nexus keeps.

    The default data folder's secret is offered to this machine's Nexus only, never to another host.

    Raises:
        BadUsage: there are none, only half of them, or the file cannot be read.
    """
    if wish.client_id and wish.client_secret:
        return Credentials(
            client_id=wish.client_id,
            client_secret=wish.client_secret,
            source="the given client id and secret",
        )
    path = wish.data_dir / FILE_NAME
    stored = _read(path) if wish.data_dir_is_given or is_local(wish.url) else None
    if stored is None:
        raise BadUsage(_nothing_found(wish, path))
    if wish.client_id and wish.client_id != stored.client_id:
        raise BadUsage(f"there is no secret for the client id {wish.client_id!r}; {_WAYS}")
    if wish.client_secret:
        return Credentials(
            client_id=stored.client_id,
            client_secret=wish.client_secret,
            source=f"the client id in {path} and the given secret",
        )
    return stored


def _nothing_found(wish: Wish, path: Path) -> str:
    if wish.client_id or wish.client_secret:
        missing = "secret" if wish.client_id else "id"
        return f"the client's {missing} is missing; {_WAYS}"
    return f"no admin credentials found (looked for {path} too); {_WAYS}"


def _read(path: Path) -> Credentials | None:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return Credentials(
            client_id=_text(stored["clientId"]),
            client_secret=_text(stored["clientSecret"]),
            source=str(path),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BadUsage(f"cannot read {path}: {error.strerror}; {_WAYS}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadUsage(
            f'{path} is not {{"clientId": ..., "clientSecret": ...}}; restore it, or {_WAYS}'
        ) from error


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("not a text")
    return value
