"""Where client secrets are made, stored and checked.

Secrets that Nexus makes carry 256 random bits, so a keyed hash protects them; those that people
choose may be guessable and go through argon2id, which is slow on purpose: never call
:func:`matches` in the event loop.
"""

import hashlib
import hmac
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

PREFIX = "obv_"
_HMAC = "hmac-sha256:"
_argon2 = PasswordHasher()


def make_secret() -> str:
    """Return a new secret: ``obv_`` and 43 characters of randomness."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_secret(secret: str, pepper: bytes) -> str:
    """Return what to store: a keyed hash of a secret that Nexus made, argon2id of any other."""
    if secret.startswith(PREFIX) and len(secret) >= len(make_secret()):
        return _HMAC + hmac.new(pepper, secret.encode(), hashlib.sha256).hexdigest()
    return _argon2.hash(secret)


def matches(secret: str, stored: str, pepper: bytes) -> bool:
    """Say whether ``secret`` is the one behind ``stored``, in constant time for its kind."""
    if stored.startswith(_HMAC):
        wanted = _HMAC + hmac.new(pepper, secret.encode(), hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted, stored)
    try:
        return _argon2.verify(stored, secret)
    except (Argon2Error, InvalidHashError):
        return False
