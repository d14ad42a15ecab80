"""Where access tokens are signed and read: JWTs with one pinned algorithm (RFC 7519, RFC 9068)."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import jwt

from nexus.domain.errors import Unauthenticated
from nexus.domain.principal import Principal, Role
from nexus.services.signing import Keyring
from nexus.store.ids import new_id
from oblivion.protocol import ErrorCode

ALGORITHM = "HS256"
LIFETIME_S = 900
CLOCK_SKEW_S = 60
"""So far ahead may the clock of the node be that made a token."""

_MOST_KNOWN = 20_000
_REQUIRED = ["exp", "iat", "sub", "jti"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a token is for: none of one kind is taken for one of another."""

    type: str
    audience: str


ACCESS = Kind(type="at+jwt", audience="oblivion")
"""What clients show to the API, and agents at their socket."""

SESSION = Kind(type="session+jwt", audience="observer")
"""What a person's browser shows to the Observer, in a cookie."""


class TokenExpired(Unauthenticated):
    """The token was good once; ask for a new one."""

    code: str = ErrorCode.TOKEN_EXPIRED
    retryable = True


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    caller: Principal
    from_ms: int
    until_ms: int


class Tokens:
    """Signs and reads tokens; ``issuer`` names this Nexus, times are in seconds.

    A token that was found good is known by heart until it expires: what it says cannot change.
    Whether it was revoked meanwhile, :mod:`nexus.services.identity` knows.
    """

    def __init__(
        self, keys: Keyring, *, issuer: str = "nexus", lifetime_s: int = LIFETIME_S
    ) -> None:
        self.keys = keys
        self.issuer = issuer
        self.lifetime_s = lifetime_s
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def replace_keys(self, keys: Keyring) -> None:
        """Sign and read with other keys from now on; what those do not verify is void."""
        self.keys = keys
        self._known.clear()

    def issue(self, caller: Principal, now_ms: int) -> str:
        """Return a signed access token that says who the caller is."""
        return self._signed(ACCESS, caller, now_ms, self.lifetime_s)

    def issue_session(self, caller: Principal, now_ms: int, lifetime_s: int) -> str:
        """Return a signed token for a browser of this caller's."""
        return self._signed(SESSION, caller, now_ms, lifetime_s)

    def _signed(self, kind: Kind, caller: Principal, now_ms: int, lifetime_s: int) -> str:
        issued = now_ms // 1000
        key = self.keys.signing(now_ms)
        claims = {
            "iss": self.issuer,
            "aud": kind.audience,
            "sub": caller.client_id,
            "client_id": caller.client_id,
            "iat": issued,
            "exp": issued + lifetime_s,
            "jti": new_id(),
            "scope": caller.role,
            "tenant": caller.tenant_id,
            "agent": caller.agent_id,
            "epoch": caller.epoch,
        }
        headers = {"typ": kind.type, "kid": key.id}
        return jwt.encode(claims, key.secret, algorithm=ALGORITHM, headers=headers)

    def read(self, token: str, now_ms: int) -> Principal:
        """Return who an access token speaks for.

        Raises:
            TokenExpired: it was valid once.
            Unauthenticated: it is not an access token of this Nexus, or not one yet.
        """
        known = self._known.get(token) or self._verified(ACCESS, token)
        _refuse_untimely(known, now_ms)
        self._known[token] = known
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return known.caller

    def read_session(self, token: str, now_ms: int) -> Principal:
        """Return who a browser's token speaks for.

        Raises:
            TokenExpired: it was valid once.
            Unauthenticated: it is not a session of this Nexus, or not one yet.
        """
        known = self._verified(SESSION, token)
        _refuse_untimely(known, now_ms)
        return known.caller

    def _verified(self, kind: Kind, token: str) -> _Known:
        try:
            return _as_known(self._claims(kind, token))
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as error:
            raise Unauthenticated("this is not an access token of this Nexus") from error

    def _claims(self, kind: Kind, token: str) -> dict[str, Any]:
        """Return what a token claims; its key is one of ours by name, its algorithm the one."""
        header = jwt.get_unverified_header(token)
        if header.get("typ") != kind.type:
            raise jwt.InvalidTokenError(f"not of the type {kind.type}")
        claims: dict[str, Any] = jwt.decode(
            token,
            self.keys.by_id[header["kid"]],
            algorithms=[ALGORITHM],
            audience=kind.audience,
            issuer=self.issuer,
            # By our own clock, which tests move and nodes share.
            options={
                "require": _REQUIRED,
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
        return claims


def _refuse_untimely(known: _Known, now_ms: int) -> None:
    if known.until_ms <= now_ms:
        raise TokenExpired("the token has expired; ask for a new one")
    if known.from_ms > now_ms + CLOCK_SKEW_S * 1000:
        raise Unauthenticated("the token is not valid yet; is the clock right?")


def _as_known(claims: dict[str, Any]) -> _Known:
    issued, expires = int(claims["iat"]), int(claims["exp"])
    caller = Principal(
        tenant_id=claims["tenant"],
        client_id=claims["sub"],
        role=Role(claims["scope"]),
        agent_id=claims["agent"],
        epoch=int(claims["epoch"]),
        token_id=claims["jti"],
        token_expires_ms=expires * 1000,
    )
    starts = max(issued, int(claims.get("nbf", issued)))
    return _Known(caller=caller, from_ms=starts * 1000, until_ms=expires * 1000)
