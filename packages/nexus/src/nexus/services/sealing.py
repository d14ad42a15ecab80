"""Where secrets are sealed for the database and opened again. Pure, but for fresh randomness.

AES-256-GCM with a random nonce (NIST SP 800-38D). What a secret is about goes into the seal, so a
row that is moved to another name or another organisation does not open there.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12


class Unsealable(Exception):
    """What was sealed cannot be opened; the message says why, and holds no secret."""


@dataclass(frozen=True, kw_only=True)
class SealingKey:
    """One key; ``id`` stands beside whatever it has sealed, and betrays nothing."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes")

    @classmethod
    def fresh(cls) -> "SealingKey":
        """Return a new key."""
        return cls(secret=secrets.token_bytes(KEY_BYTES))

    @classmethod
    def of_text(cls, text: str) -> "SealingKey":
        """Return the key that a long random text stands for."""
        return cls(secret=hashlib.sha256(b"sealing key of " + text.encode()).digest())

    @cached_property
    def id(self) -> str:
        """The key's name."""
        return hashlib.sha256(b"sealing kid of " + self.secret).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """A secret as it is stored: by which key it was sealed, and what came of it."""

    key_id: str
    text: str


@dataclass(frozen=True)
class SealingKeys:
    """The keys of an installation, that which seals first; the others open what they sealed."""

    keys: tuple[SealingKey, ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("there has to be a key")

    @classmethod
    def of(cls, keys: Sequence[SealingKey]) -> "SealingKeys":
        """Return these keys."""
        return cls(tuple(keys))

    @cached_property
    def by_id(self) -> dict[str, SealingKey]:
        """Each key by its name."""
        return {key.id: key for key in self.keys}

    def led_by(self, ids: Collection[str]) -> "SealingKeys":
        """Return the same keys, with those of these names first."""
        return SealingKeys(tuple(sorted(self.keys, key=lambda key: key.id not in ids)))

    def unused(self, used: Collection[str]) -> tuple[SealingKey, ...]:
        """Return the keys whose names are not among these."""
        return tuple(key for key in self.keys if key.id not in used)

    def seal(self, secret: str, *about: str) -> Sealed:
        """Seal a secret; it opens only where it is said again what it is ``about``."""
        key, nonce = self.keys[0], secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + AESGCM(key.secret).encrypt(nonce, secret.encode(), _bound(about))
        return Sealed(key_id=key.id, text=base64.b64encode(sealed).decode())

    def open(self, sealed: Sealed, *about: str) -> str:
        """Return a secret.

        Raises:
            Unsealable: its key is not here, or it was changed or moved.
        """
        key = self.by_id.get(sealed.key_id)
        if key is None:
            raise Unsealable(f"it was sealed with the key {sealed.key_id}, which is not here")
        try:
            data = base64.b64decode(sealed.text, validate=True)
            nonce, rest = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
            return AESGCM(key.secret).decrypt(nonce, rest, _bound(about)).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise Unsealable("what is stored was changed, or is another secret's") from None


def _bound(about: Sequence[str]) -> bytes:
    parts = [part.encode() for part in ("oblivion secret", *about)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


class KeySource(Protocol):
    """Where the keys come from: outside of the database, and read whenever they are needed."""

    def read(self) -> SealingKeys | None:
        """Return the keys; None where there are none yet.

        Raises:
            Conflict: they are damaged.
        """
        ...

    def make(self) -> SealingKeys:
        """Make the first key, and keep it.

        Raises:
            Conflict: it cannot be kept.
        """
        ...


class NoKeys:
    """Where secrets cannot be kept."""

    def read(self) -> SealingKeys | None:
        """Return none."""
        return None

    def make(self) -> SealingKeys:
        """Return a key that is good until the process ends."""
        return SealingKeys((SealingKey.fresh(),))
