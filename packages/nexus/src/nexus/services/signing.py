"""Where the keys that sign access tokens are held: one signs, those before it still verify."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

KEY_BYTES = 32
"""The least that HS256 asks for (RFC 7518, section 3.2)."""


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """One key; it signs from ``since_ms`` on, in epoch milliseconds, until a newer one does."""

    secret: bytes = field(repr=False)
    since_ms: int = 0

    @cached_property
    def id(self) -> str:
        """The key's name in tokens (``kid``); it tells keys apart and betrays none."""
        return hashlib.sha256(b"kid of " + self.secret).hexdigest()[:16]


@dataclass(frozen=True)
class Keyring:
    """The keys of an installation, the newest first; there is always one that signs."""

    keys: tuple[SigningKey, ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("there has to be a key")

    @classmethod
    def of(cls, *secrets: bytes) -> Self:
        """Return a ring of keys of which the first signs."""
        return cls(tuple(SigningKey(secret=secret) for secret in secrets))

    @cached_property
    def by_id(self) -> dict[str, bytes]:
        """Each key by its name: a token's key comes from here, and from nowhere else."""
        return {key.id: key.secret for key in reversed(self.keys)}

    def signing(self, now_ms: int) -> SigningKey:
        """Return the newest key whose time has come."""
        return next((key for key in self.keys if key.since_ms <= now_ms), self.keys[-1])

    def rotated(self, secret: bytes, *, now_ms: int, since_ms: int, lifetime_ms: int) -> "Keyring":
        """Return the ring with a new key that signs from ``since_ms`` on.

        Keys go that signed no token which could still be good: tokens live for ``lifetime_ms``.
        """
        fresh = SigningKey(secret=secret, since_ms=since_ms)
        kept = [fresh]
        for key in self.keys:
            kept.append(key)
            if key.since_ms + lifetime_ms <= now_ms:  # those before it signed nothing since then
                break
        return Keyring(tuple(kept))
