"""Where links live that sign a person in once: known to this process alone, and not for long."""

import hashlib
import secrets
from collections import OrderedDict

from nexus.store.unit_of_work import Clock

LIFETIME_S = 15 * 60
_MOST = 100


class Links:
    """The links that are still good, by the hash of their keys."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._good: OrderedDict[bytes, tuple[str, int]] = OrderedDict()

    def make(self, client_id: str) -> str:
        """Return the key of a new link that lets this client's person in, once."""
        key = secrets.token_urlsafe(32)
        self._good[_hash(key)] = (client_id, self._clock() + LIFETIME_S * 1000)
        if len(self._good) > _MOST:
            self._good.popitem(last=False)
        return key

    def take(self, key: str) -> str | None:
        """Return whom the key lets in and forget it; None when it is good for nobody."""
        client_id, until = self._good.pop(_hash(key), (None, 0))
        return client_id if until > self._clock() else None


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
