"""Where the rules of joining live: which tokens let agents in, and who may be decided upon."""

from dataclasses import dataclass
from enum import StrEnum

from oblivion.protocol import ApprovalStatus

MAY_BE_APPROVED = frozenset({ApprovalStatus.PENDING, ApprovalStatus.REJECTED})
"""An admin may think again about a rejection."""

MAY_BE_REJECTED = frozenset({ApprovalStatus.PENDING})
"""Whoever was let in may be at work: that ends by a ban, not by a late rejection."""


class TokenState(StrEnum):
    """What a registration token is good for."""

    ACTIVE = "active"
    EXPIRED = "expired"
    USED_UP = "used_up"
    REVOKED = "revoked"


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The terms of a registration token; times in epoch milliseconds, None is without end."""

    uses: int = 0
    max_uses: int | None = None
    expires_at: int | None = None
    revoked_at: int | None = None

    def state(self, now: int) -> TokenState:
        """Return what the token is good for; at ``expires_at`` it has expired."""
        if self.revoked_at is not None:
            return TokenState.REVOKED
        if self.expires_at is not None and now >= self.expires_at:
            return TokenState.EXPIRED
        if self.max_uses is not None and self.uses >= self.max_uses:
            return TokenState.USED_UP
        return TokenState.ACTIVE
