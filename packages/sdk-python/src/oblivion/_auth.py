"""Where the access token is fetched, kept and renewed (RFC 6749, section 4.4)."""

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol

import httpx2
from pydantic import BaseModel, ValidationError

from oblivion._clock import Clock
from oblivion._config import Secret
from oblivion._logging import get_log
from oblivion._refusals import refused_token
from oblivion.errors import NexusUnreachable

_RENEW_AT = 0.8
"""The share of a token's life after which the next use fetches a new one."""

_log = get_log("auth")


class TokenSource(Protocol):
    """What hands out access tokens."""

    async def token(self) -> str:
        """Return a token that is valid for a while.

        Raises:
            ConnectRefused: the credentials were not accepted.
            NexusUnreachable: nobody answered.
        """
        ...

    def forget(self, token: str) -> None:
        """Drop ``token``, which Nexus no longer accepts."""


class _Grant(BaseModel):
    access_token: str
    expires_in: float = 900.0


@dataclass(frozen=True, slots=True)
class _Token:
    value: Secret
    renew_at: float


class ClientCredentials:
    """Fetches tokens for a client id and secret; concurrent callers share one request."""

    def __init__(
        self, http: httpx2.AsyncClient, client_id: str, client_secret: Secret, clock: Clock
    ) -> None:
        self._http = http
        self._client_id = client_id
        self._client_secret = client_secret
        self._clock = clock
        self._current: _Token | None = None
        self._fetching = asyncio.Lock()

    async def token(self) -> str:
        """Return the kept token, or a new one when it is four fifths through its life."""
        async with self._fetching:
            current = self._current
            if current is None or self._clock.monotonic() >= current.renew_at:
                current = self._current = await self._fetch()
            return current.value.reveal()

    def forget(self, token: str) -> None:
        """Drop ``token`` if it is the kept one."""
        if self._current is not None and self._current.value.reveal() == token:
            self._current = None

    async def _fetch(self) -> _Token:
        asked_at = self._clock.monotonic()
        response = await self._post()
        if response.status_code in {400, 401, 403, 429}:
            raise refused_token(response.status_code, _body(response))
        try:
            grant = _Grant.model_validate(_body(response))
        except ValidationError:
            raise NexusUnreachable(
                f"{self._http.base_url} answered /auth/token with HTTP {response.status_code} and "
                "no token: is nexus_url the address of a Nexus, and is it up?"
            ) from None
        _log.debug("token_fetched", expires_in=grant.expires_in)
        return _Token(Secret(grant.access_token), asked_at + _RENEW_AT * grant.expires_in)

    async def _post(self) -> httpx2.Response:
        try:
            return await self._http.post(
                "auth/token",
                data={
                    "grant_type": "client_credentials",
                    "client_id": self._client_id,
                    "client_secret": self._client_secret.reveal(),
                },
            )
        except httpx2.HTTPError as error:
            raise unreachable(self._http, error) from None


def unreachable(http: httpx2.AsyncClient, error: httpx2.HTTPError) -> NexusUnreachable:
    """Return the error for a request that got no answer."""
    reason = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        reason += "; name the authority that it comes from in Network.ca_file"
    return NexusUnreachable(f"Nexus at {http.base_url} cannot be reached: {reason}")


def _body(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None
