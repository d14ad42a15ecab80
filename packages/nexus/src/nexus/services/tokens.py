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

_AUDIENCE = "oblivion"
_TYPE = "at+jwt"
_MOST_KNOWN = 20_000
_REQUIRED = ["exp", "iat", "sub", "jti"]


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
        """Return a signed token that says who the caller is."""
        issued = now_ms // 1000
        key = self.keys.signing(now_ms)
        claims = {
            "iss": self.issuer,
            "aud": _AUDIENCE,
            "sub": caller.client_id,
            "client_id": caller.client_id,
            "iat": issued,
            "exp": issued + self.lifetime_s,
            "jti": new_id(),
            "scope": caller.role,
            "tenant": caller.tenant_id,
            "agent": caller.agent_id,
            "epoch": caller.epoch,
        }
        headers = {"typ": _TYPE, "kid": key.id}
        return jwt.encode(claims, key.secret, algorithm=ALGORITHM, headers=headers)

    def read(self, token: str, now_ms: int) -> Principal:
        """Return who a token speaks for.

        Raises:
            TokenExpired: it was valid once.
            Unauthenticated: it is not a token of this Nexus, or not one yet.
        """
        known = self._known.get(token) or self._verified(token)
        if known.until_ms <= now_ms:
            raise TokenExpired("the token has expired; ask for a new one")
        if known.from_ms > now_ms + CLOCK_SKEW_S * 1000:
            raise Unauthenticated("the token is not valid yet; is the clock right?")
        self._known[token] = known
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return known.caller

    def _verified(self, token: str) -> _Known:
        try:
            return _as_known(self._claims(token))
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as error:
            raise Unauthenticated("this is not an access token of this Nexus") from error

    def _claims(self, token: str) -> dict[str, Any]:
        """Return what a token claims; its key is one of ours by name, its algorithm the one."""
        header = jwt.get_unverified_header(token)
        if header.get("typ") != _TYPE:
            raise jwt.InvalidTokenError("not an access token")
        claims: dict[str, Any] = jwt.decode(
            token,
            self.keys.by_id[header["kid"]],
            algorithms=[ALGORITHM],
            audience=_AUDIENCE,
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
