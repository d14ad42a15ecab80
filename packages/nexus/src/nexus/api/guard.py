"""Where guessing is made hopeless, and nobody who knows a secret is kept out.

Only what went wrong is counted: for a client at an address, for an address, for a client. A secret
that Nexus made cannot be guessed and is quick to check, so the right one is let in whatever was
counted. One that a person chose is slow to check. It is checked as long as the caller's budgets
last; and one that was right before is known again at once, so that a storm of guesses from the
same address does not keep its client out either.
"""

import hashlib
import hmac
import ipaddress
import secrets
from collections import OrderedDict
from dataclasses import dataclass

from nexus.domain.budgets import Budgets
from nexus.domain.errors import TooManyAttempts
from nexus.domain.limits import GuessLimits

_MOST_KNOWN = 20_000
_IPV6_SITE = 64
"""So many bits of an address name its site; the rest its owner chooses as it likes."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Somebody at an address who says to be a client."""

    client_id: str
    address: str

    @property
    def pair(self) -> str:
        """The client at the address."""
        return f"{self.address} {self.client_id}"


class Guard:
    """Counts the wrong secrets that come to this node; times are in epoch milliseconds."""

    def __init__(self, limits: GuessLimits) -> None:
        self._pairs = Budgets(limits.at_address)
        self._addresses = Budgets(limits.of_address)
        self._clients = Budgets(limits.of_client)
        self._fresh = limits.at_address
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[str, bytes] = OrderedDict()

    def wait_s(self, attempt: Attempt, now_ms: int) -> int:
        """Return for how many seconds this caller's guesses are not looked at; 0 for they are.

        Where one client is guessed at from many addresses, each of them gets a single guess; so
        whoever comes with the right secret from elsewhere is let in.
        """
        waits = [
            self._pairs.wait_s(attempt.pair, now_ms),
            self._addresses.wait_s(attempt.address, now_ms),
        ]
        if self._pairs.left(attempt.pair, now_ms) < self._fresh:
            waits.append(self._clients.wait_s(attempt.client_id, now_ms))
        return max(waits)

    def refuse_spent(self, attempt: Attempt, now_ms: int) -> None:
        """Refuse a caller whose guesses are not looked at now.

        Raises:
            TooManyAttempts: it has to wait.
        """
        wait = self.wait_s(attempt, now_ms)
        if wait:
            raise TooManyAttempts(f"too many wrong secrets; try again in {wait} s", wait)

    def failed(self, attempt: Attempt, now_ms: int) -> None:
        """Count a wrong secret."""
        self._pairs.spend(attempt.pair, now_ms)
        self._addresses.spend(attempt.address, now_ms)
        self._clients.spend(attempt.client_id, now_ms)

    def begin(self, attempt: Attempt, now_ms: int) -> None:
        """Count a slow check before it is made, so that many at once are no way around."""
        self._pairs.spend(attempt.pair, now_ms)

    def end(self, attempt: Attempt, now_ms: int) -> None:
        """Take back what was counted by :meth:`begin`."""
        self._pairs.spend(attempt.pair, now_ms, -1)

    def knows(self, client_id: str, secret: str, stored: str | None) -> bool:
        """Say whether this secret was found to be the one behind ``stored`` before."""
        known = self._known.get(client_id, b"")
        return stored is not None and hmac.compare_digest(known, self._seal(secret, stored))

    def remember(self, client_id: str, secret: str, stored: str) -> None:
        """Know a right secret again, by a hash with a key of this process."""
        self._known.pop(client_id, None)
        self._known[client_id] = self._seal(secret, stored)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)

    def _seal(self, secret: str, stored: str) -> bytes:
        sealed = hashlib.sha256(secret.encode()).digest() + stored.encode()
        return hmac.digest(self._key, sealed, "sha256")


def site_of(host: str | None) -> str:
    """Return what an address counts as: itself, or its /64 where it is of IPv6."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return host or ""
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), _IPV6_SITE), strict=False))
