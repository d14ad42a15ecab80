"""Where new ids come from: short, sortable by age, and unguessable enough not to collide."""

import secrets
import time

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 40
_LENGTH = 18


def new_id() -> str:
    """Return 18 characters of Crockford base 32: 48 bits of milliseconds, 40 random bits."""
    number = (time.time_ns() // 1_000_000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    characters = [_DIGITS[(number >> (5 * place)) & 31] for place in range(_LENGTH)]
    return "".join(reversed(characters))
