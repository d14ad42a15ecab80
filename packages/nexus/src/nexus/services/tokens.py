"""Where access tokens are signed and read: JWTs with one pinned algorithm."""

from dataclasses import dataclass

import jwt

from nexus.domain.errors import NexusError, Unauthenticated
from nexus.domain.principal import Principal, Role
from nexus.store.ids import new_id
from oblivion.protocol import ErrorCode

ALGORITHM = "HS256"
LIFETIME_S = 900
_AUDIENCE = "oblivion"
_TYPE = "at+jwt"


class TokenExpired(Unauthenticated):
    """The token was good once; ask for a new one."""

    code: str = ErrorCode.TOKEN_EXPIRED
    retryable = True


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Signs and reads tokens with one key; ``issuer`` names this Nexus, times are in seconds."""

    key: bytes
    issuer: str = "nexus"
    lifetime_s: int = LIFETIME_S

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
        try:
            claims = jwt.decode(
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
            refusal = self._refusal(token, claims, now_ms)
            if refusal is not None:
                raise refusal
            return Principal(
                tenant_id=claims["tenant"],
                client_id=claims["sub"],
                role=Role(claims["role"]),
                agent_id=claims["agent"],
            )
        except (jwt.InvalidTokenError, KeyError, ValueError) as error:
            raise Unauthenticated("this is not an access token of this Nexus") from error

    def _refusal(self, token: str, claims: dict[str, object], now_ms: int) -> NexusError | None:
        if jwt.get_unverified_header(token).get("typ") != _TYPE:
            return Unauthenticated("this is not an access token")
        if int(str(claims["exp"])) * 1000 <= now_ms:
            return TokenExpired("the token has expired; ask for a new one")
        return None
