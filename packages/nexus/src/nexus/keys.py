"""Where the keys of an installation are kept: made once, in the data folder, for its owner only."""

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from nexus.store import DataDirError

_KEY_BYTES = 32


@dataclass(frozen=True, kw_only=True, repr=False)
class Keys:
    """What signs tokens, and what client secrets are hashed with."""

    signing: bytes
    pepper: bytes

    @property
    def fingerprint(self) -> str:
        """What tells these keys from others and betrays neither."""
        return hmac.new(self.pepper, b"fingerprint of" + self.signing, hashlib.sha256).hexdigest()


def load_keys(data_dir: Path) -> Keys:
    """Return the installation's keys; made at the first start."""
    return Keys(signing=_key(data_dir / "signing.key"), pepper=_key(data_dir / "pepper.key"))


def _key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text().strip())
    except FileNotFoundError:
        key = secrets.token_bytes(_KEY_BYTES)
        write_private(path, key.hex() + "\n")
    except ValueError as error:
        raise DataDirError(f"{path} is damaged; restore it from a backup") from error
    if len(key) < _KEY_BYTES:
        raise DataDirError(f"{path} is shorter than {_KEY_BYTES} bytes; restore it from a backup")
    return key


@dataclass(frozen=True, kw_only=True)
class AdminCredentials:
    """The first admin's client id and secret, as they are kept in the data folder."""

    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return f"AdminCredentials(client_id={self.client_id!r})"


def credentials_path(data_dir: Path) -> Path:
    """Return where the admin's credentials are kept."""
    return data_dir / "admin-credentials.json"


def read_admin_credentials(data_dir: Path) -> AdminCredentials | None:
    """Return the kept credentials; None when there are none.

    Raises:
        DataDirError: the file is there but damaged.
    """
    path = credentials_path(data_dir)
    try:
        kept = json.loads(path.read_text())
        return AdminCredentials(client_id=kept["clientId"], client_secret=kept["clientSecret"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DataDirError(f"{path} is damaged; delete it to have a new secret made") from error


def write_admin_credentials(data_dir: Path, credentials: AdminCredentials) -> None:
    """Keep the admin's credentials, readable by their owner only."""
    kept = {"clientId": credentials.client_id, "clientSecret": credentials.client_secret}
    write_private(credentials_path(data_dir), json.dumps(kept, indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 600, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
