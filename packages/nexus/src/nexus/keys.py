"""Where the keys of an installation are kept: made once, in the data folder, for its owner only."""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nexus.services.signing import KEY_BYTES, Keyring, SigningKey
from nexus.store import DataDirError


@dataclass(frozen=True, kw_only=True, repr=False)
class Keys:
    """What signs tokens, and what client secrets are hashed with."""

    signing: Keyring
    pepper: bytes

    @property
    def fingerprint(self) -> str:
        """What tells this pepper from others and does not betray it."""
        return hmac.new(self.pepper, b"fingerprint", hashlib.sha256).hexdigest()


def load_keys(data_dir: Path, signing_secrets: Sequence[str] = ()) -> Keys:
    """Return the installation's keys; made at the first start.

    ``signing_secrets`` are texts that take the place of the file of signing keys, the newest first.

    Raises:
        DataDirError: a file is damaged.
    """
    if signing_secrets:
        signing = Keyring.of(*(secret.encode() for secret in signing_secrets))
    else:
        signing = load_signing_keys(data_dir)
    return Keys(signing=signing, pepper=_pepper(data_dir / "pepper.key"))


def _pepper(path: Path) -> bytes:
    try:
        return read_pepper(path)
    except FileNotFoundError:
        key = secrets.token_bytes(KEY_BYTES)
        write_private(path, key.hex() + "\n")
        return key


def read_pepper(path: Path) -> bytes:
    """Return the pepper that a file holds.

    Raises:
        DataDirError: it is damaged.
        FileNotFoundError: there is none.
    """
    try:
        return _long_enough(bytes.fromhex(path.read_text().strip()), path)
    except ValueError as error:
        raise _damaged(path) from error


def signing_keys_path(data_dir: Path) -> Path:
    """Return where the keys are kept that sign tokens: one a line, the newest first.

    A line is a key in hexadecimal and, where it is not good from the beginning, since when it is.
    """
    return data_dir / "signing.key"


def load_signing_keys(data_dir: Path) -> Keyring:
    """Return the keys that sign and verify tokens; the first one is made.

    Raises:
        DataDirError: the file is damaged.
    """
    path = signing_keys_path(data_dir)
    try:
        lines = path.read_text().splitlines()
        return Keyring(tuple(_signing_key(line, path) for line in lines if line.strip()))
    except FileNotFoundError:
        ring = Keyring.of(secrets.token_bytes(KEY_BYTES))
        write_signing_keys(data_dir, ring)
        return ring
    except ValueError as error:
        raise _damaged(path) from error


def _signing_key(line: str, path: Path) -> SigningKey:
    key, _, since = line.strip().partition(" ")
    since_ms = int(datetime.fromisoformat(since).timestamp() * 1000) if since else 0
    return SigningKey(secret=_long_enough(bytes.fromhex(key), path), since_ms=since_ms)


def _long_enough(key: bytes, path: Path) -> bytes:
    if len(key) < KEY_BYTES:
        raise DataDirError(f"{path} is shorter than {KEY_BYTES} bytes; restore it from a backup")
    return key


def _damaged(path: Path) -> DataDirError:
    return DataDirError(f"{path} is damaged; restore it from a backup")


def write_signing_keys(data_dir: Path, ring: Keyring) -> None:
    """Keep the keys that sign tokens, readable by their owner only."""
    lines = [_line(key) + "\n" for key in ring.keys]
    write_private(signing_keys_path(data_dir), "".join(lines))


def _line(key: SigningKey) -> str:
    if not key.since_ms:
        return key.secret.hex()
    since = datetime.fromtimestamp(key.since_ms / 1000, UTC)
    return f"{key.secret.hex()} {since.isoformat(timespec='milliseconds')}"


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
