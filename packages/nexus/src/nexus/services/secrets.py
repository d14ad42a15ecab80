"""Where client secrets and registration tokens are made, stored and checked.

Secrets that Nexus makes carry 256 random bits, so a keyed hash protects them; those that people
choose may be guessable and go through argon2id, which is slow on purpose: never call
:func:`matches` in the event loop.
"""

import functools
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

PREFIX = "obv_"
REGISTRATION_PREFIX = "reg_"
_HMAC = "hmac-sha256:"
_argon2 = PasswordHasher()


def make_secret() -> str:
    """Return a new secret: ``obv_`` and 43 characters of randomness."""
    return PREFIX + secrets.token_urlsafe(32)


def make_registration_token() -> str:
    """Return a new registration token: ``reg_`` and 43 characters of randomness."""
    return REGISTRATION_PREFIX + secrets.token_urlsafe(32)


def hash_registration_token(token: str, pepper: bytes) -> str:
    """Return what to store and to look a registration token up by."""
    return _keyed(token, pepper)


def is_made(secret: str) -> bool:
    """Say whether a secret has the form of those that Nexus makes."""
    return secret.startswith(PREFIX) and len(secret) >= len(make_secret())


def hash_secret(secret: str, pepper: bytes) -> str:
    """Return what to store: a keyed hash of a secret that Nexus made, argon2id of any other."""
    return _keyed(secret, pepper) if is_made(secret) else _argon2.hash(secret)


def good_hashes(client: Mapping[str, Any], now_ms: int) -> tuple[str, ...]:
    """Return the hashes of the secrets that a client may show now: its own, and an older one."""
    until = client["older_secret_until"]
    older = client["older_secret_hash"] if until is not None and until > now_ms else None
    return tuple(found for found in (client["secret_hash"], older) if found is not None)


def chosen_hash(stored: Iterable[str]) -> str | None:
    """Return the hash among these of a secret that somebody chose; there is at most one."""
    return next((found for found in stored if not found.startswith(_HMAC)), None)


def matches(secret: str, stored: Sequence[str], pepper: bytes) -> bool:
    """Say whether ``secret`` is behind one of the hashes; there are none of an unknown client.

    How long that takes depends on the form of ``secret`` alone, so it tells nobody whether a
    client exists or which kind of secret it has. That wants at most one hash of a chosen secret.
    """
    if is_made(secret):
        keyed = _keyed(secret, pepper)
        found = [hmac.compare_digest(keyed, one) for one in (*stored, "", "")[:2]]
        return any(found)
    chosen = chosen_hash(stored)
    try:
        _argon2.verify(chosen or _nobodys_hash(), secret)
    except (Argon2Error, InvalidHashError):
        return False
    return chosen is not None


def _keyed(secret: str, pepper: bytes) -> str:
    return _HMAC + hmac.new(pepper, secret.encode(), hashlib.sha256).hexdigest()


@functools.cache
def _nobodys_hash() -> str:
    return _argon2.hash(make_secret())
