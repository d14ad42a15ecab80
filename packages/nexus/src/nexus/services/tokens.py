"""Where access tokens are signed and read: JWTs with one pinned algorithm."""

from collections import OrderedDict
from dataclasses import dataclass, field

import jwt

from nexus.domain.errors import Unauthenticated
from nexus.domain.principal import Principal, Role
from nexus.store.ids import new_id
from oblivion.protocol import ErrorCode

ALGORITHM = "HS256"
LIFETIME_S = 900
_AUDIENCE = "oblivion"
_TYPE = "at+jwt"
_MOST_KNOWN = 20_000


class TokenExpired(Unauthenticated):
    """The token was good once; ask for a new one."""

    code: str = ErrorCode.TOKEN_EXPIRED
    retryable = True


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Signs and reads tokens with one key; ``issuer`` names this Nexus, times are in seconds.

    A token that was found good is known by heart until it expires: what it says cannot change.
    """

    key: bytes
    issuer: str = "nexus"
    lifetime_s: int = LIFETIME_S
    _known: OrderedDict[str, tuple[Principal, int]] = field(
        default_factory=OrderedDict, init=False, compare=False
    )

    def __repr__(self) -> str:
        return f"Tokens(issuer={self.issuer!r})"

    def issue(self, caller: Principal, now_ms: int) -> str:
        """Return a signed token that says who the caller is."""
        issued = now_ms // 1000
        claims = {
            "iss": self.issuer,
            "aud": _AUDIENCE,
            "sub": caller.client_id,
            "iat": issued,
            "exp": issued + self.lifetime_s,
            "jti": new_id(),
            "role": caller.role,
            "tenant": caller.tenant_id,
            "agent": caller.agent_id,
        }
        return jwt.encode(claims, self.key, algorithm=ALGORITHM, headers={"typ": _TYPE})

    def read(self, token: str, now_ms: int) -> Principal:
        """Return who a token speaks for.

        Raises:
            TokenExpired: it was valid once.
            Unauthenticated: it is not a token of this Nexus.
        """
        principal, expires_ms = self._known.get(token) or self._verified(token)
        if expires_ms <= now_ms:
            raise TokenExpired("the token has expired; ask for a new one")
        self._known[token] = principal, expires_ms
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return principal

    def _verified(self, token: str) -> tuple[Principal, int]:
        try:
            whole = jwt.decode_complete(
                token,
                self.key,
                algorithms=[ALGORITHM],
                audience=_AUDIENCE,
                issuer=self.issuer,
                options={
                    "require": ["exp", "iat", "sub", "jti"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
            claims = whole["payload"]
            if whole["header"].get("typ") != _TYPE:
                raise Unauthenticated("this is not an access token")
            principal = Principal(
                tenant_id=claims["tenant"],
                client_id=claims["sub"],
                role=Role(claims["role"]),
                agent_id=claims["agent"],
            )
            return principal, int(claims["exp"]) * 1000
        except (jwt.InvalidTokenError, KeyError, ValueError) as error:
            raise Unauthenticated("this is not an access token of this Nexus") from error
