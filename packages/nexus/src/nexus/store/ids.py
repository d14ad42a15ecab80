"""Where new ids come from: short, sortable by age, and unguessable enough not to collide."""

import os
import random
import time

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]
_RANDOM_BITS = 40
_PLACES = tuple(range(80, -1, -10))

# No secret is made of it, and to ask the kernel each time takes longer than all the rest.
chance = random.Random()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=chance.seed)


def new_id() -> str:
    """Return 18 characters of Crockford base 32: 48 bits of milliseconds, 40 random bits."""
    number = (time.time_ns() // 1_000_000) << _RANDOM_BITS | chance.getrandbits(_RANDOM_BITS)
    return "".join([_PAIRS[(number >> place) & 1023] for place in _PLACES])
