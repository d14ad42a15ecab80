"""Where it is found out whose credentials a command uses: options, environment, data folder."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from nexus.cli.addresses import is_local
from nexus.cli.errors import BadUsage

DEFAULT_DATA_DIR = Path("nexus-data")
"""What ``nexus.settings`` says, too; importing those takes longer than most commands do."""

DEFAULT_CLIENT_ID = "admin"
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
    data_dir: Path | None = None


def find_credentials(wish: Wish) -> Credentials:
    """Return the credentials to use: a given secret, else what a local Nexus keeps.

    The default data folder's secret is offered to this machine's Nexus only, never to another host.

    Raises:
        BadUsage: there are none, only half of them, or the file cannot be read.
    """
    if wish.client_secret:
        return Credentials(
            client_id=wish.client_id or DEFAULT_CLIENT_ID,
            client_secret=wish.client_secret,
            source="the options or the environment",
        )
    path = (wish.data_dir or DEFAULT_DATA_DIR) / FILE_NAME
    stored = _read(path) if wish.data_dir or is_local(wish.url) else None
    if stored is None:
        raise BadUsage(f"no admin credentials found (looked for {path}); {_WAYS}")
    if wish.client_id and wish.client_id != stored.client_id:
        raise BadUsage(f"there is no secret for the client id {wish.client_id!r}; {_WAYS}")
    return stored


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
