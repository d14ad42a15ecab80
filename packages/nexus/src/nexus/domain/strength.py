"""Where it is judged whether a secret that somebody chose would be guessed."""

import math
from collections import Counter

SHORTEST_KEY = 32
"""Bytes of a key for HS256 (RFC 7518, section 3.2)."""

SHORTEST_SECRET = 12
"""Characters of a client secret; argon2id does the rest."""

_FEWEST_BITS = 40
_WELL_KNOWN = (
    "secret",
    "password",
    "passwort",
    "changeme",
    "change-me",
    "change_me",
    "change this",
    "changethis",
    "your-256-bit-secret",
    "your_jwt_secret",
    "your-secret-key",
    "supersecret",
    "super-secret",
    "default",
    "example",
    "letmein",
    "qwerty",
    "admin",
    "nexus",
    "oblivion",
    "jwt",
    "test",
    "dev",
    "key",
    "my",
    "local",
    "token",
    "12345678",
    "0123456789",
)
"""What stands in examples and in lists of guesses, alone or strung together."""


def weakness(secret: str, *, shortest: int) -> str | None:
    """Say why a secret is weak, None when it is not; never repeats it.

    It is too short, made of words that everybody tries first, or of too few different characters.
    """
    if len(secret.encode()) < shortest:
        return f"has {len(secret.encode())} characters; take at least {shortest}"
    if not _without_well_known_words(secret):
        return "is made of words that are tried first"
    if _bits(_repeated(secret)) < _FEWEST_BITS:
        return "repeats too few different characters"
    return None


def _without_well_known_words(secret: str) -> str:
    left = secret.lower()
    for word in sorted(_WELL_KNOWN, key=len, reverse=True):
        left = left.replace(word, "")
    return left.strip("-_ .!?*#0123456789")


def _repeated(secret: str) -> str:
    """Return what a secret repeats over and over; itself when it does not."""
    period = (secret + secret).find(secret, 1)
    return secret[:period]


def _bits(secret: str) -> float:
    """Return how many bits its characters' variety amounts to (Shannon), at most."""
    counts = Counter(secret)
    share = [count / len(secret) for count in counts.values()]
    return -sum(part * math.log2(part) for part in share) * len(secret)
