"""Where client secrets and registration tokens are made, stored and checked.

Secrets that Nexus makes carry 256 random bits, so a keyed hash protects them; those that people
choose may be guessable and go through argon2id, which is slow on purpose: never call
:func:`matches` in the event loop.
"""

import functools
import hashlib
import hmac
import secrets

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


def matches(secret: str, stored: str | None, pepper: bytes) -> bool:
    """Say whether ``secret`` is the one behind ``stored``; None when there is no such client.

    How long that takes depends on the form of ``secret`` alone, so it tells nobody whether a
    client exists or which kind of secret it has.
    """
    if is_made(secret):
        return hmac.compare_digest(_keyed(secret, pepper), stored or "")
    chosen = stored if stored is not None and not stored.startswith(_HMAC) else None
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
