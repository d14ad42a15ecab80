"""Where the audit log's chain is: how entries are sealed, and what a look at it finds.

Each entry is sealed with a key that the database does not hold, together with the seal before it.
So whoever can write the database, but not read the keys, can neither change an entry nor put one in
another place nor take one out of the middle without a trace. That the newest ones are gone, only
somebody outside can know: an :class:`End` is kept there, the anchor.
"""

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

FIRST = ""
"""What stands in for the seal before the first entry."""

_FIELDS = ("at", "actor", "role", "address", "action", "target", "details")


@dataclass(frozen=True, kw_only=True)
class End:
    """How far a tenant's chain went at some moment."""

    tenant_id: str
    seq: int
    seal: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something about a chain that is not as it was written; ``seq`` is where it shows."""

    tenant_id: str
    seq: int
    problem: str


def audit_key(pepper: bytes) -> bytes:
    """Return the key of the chains, which nobody learns from what they seal."""
    return hmac.new(pepper, b"nexus audit chain, version 1", hashlib.sha256).digest()


def seal(key: bytes, previous: str, entry: Mapping[str, Any]) -> str:
    """Return the seal of an entry that follows the one with the seal ``previous``."""
    said = [previous, entry["tenant_id"], entry["seq"], *(entry[name] for name in _FIELDS)]
    return hmac.new(key, orjson.dumps(said), hashlib.sha256).hexdigest()


class Walk:
    """A look at one tenant's chain; feed it every entry after ``end``, in order, or all."""

    def __init__(
        self, key: bytes, tenant_id: str, anchors: Iterable[End] = (), end: End | None = None
    ) -> None:
        self._key = key
        self._tenant_id = tenant_id
        self._anchors = {anchor.seq: anchor.seal for anchor in anchors}
        self.end = end or End(tenant_id=tenant_id, seq=0, seal=FIRST)

    def step(self, entry: Mapping[str, Any]) -> Iterator[Finding]:
        """Take in the next entry, and yield what is wrong about it."""
        expected = self.end.seq + 1
        if entry["seq"] != expected:
            yield self._finding(expected, _missing(expected, entry["seq"] - 1))
        elif not hmac.compare_digest(seal(self._key, self.end.seal, entry), entry["seal"]):
            yield self._finding(entry["seq"], "is not what was written there")
        known = self._anchors.pop(entry["seq"], None)
        if known is not None and known != entry["seal"]:
            yield self._finding(entry["seq"], "is not the entry that the anchor knows")
        self.end = End(tenant_id=self._tenant_id, seq=entry["seq"], seal=entry["seal"])

    def finish(self) -> Iterator[Finding]:
        """Yield what is missing at the end."""
        newest = max((seq for seq in self._anchors if seq > self.end.seq), default=None)
        if newest is not None:
            yield self._finding(self.end.seq + 1, _missing(self.end.seq + 1, newest))

    def _finding(self, seq: int, problem: str) -> Finding:
        return Finding(tenant_id=self._tenant_id, seq=seq, problem=problem)


def _missing(first: int, last: int) -> str:
    return "is missing" if first == last else f"to {last} are missing"
