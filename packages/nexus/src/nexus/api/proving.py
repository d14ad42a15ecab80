"""Where clients prove who they are: a secret is checked first, and tells only who knows it more."""

from typing import Any

from starlette.requests import Request

from nexus.api.credentials import Credentials, OAuthError, invalid_client
from nexus.api.guard import Attempt, Guard, site_of
from nexus.api.hashing import Hashers
from nexus.domain.errors import Unauthenticated
from nexus.services import identity, secrets
from nexus.services.platform import Platform
from nexus.store.tx import Row

_WRONG = "unknown client or wrong secret"


async def proven(request: Request, credentials: Credentials) -> Row:
    """Return the stored client whose secret this is; whether it may act is another question.

    An unknown client and a wrong secret get the same answer after the same time.

    Raises:
        OAuthError: there is no such client, or the secret is wrong.
        TooManyAttempts: too many secrets were wrong.
        Unavailable: the store does not answer, or too many secrets wait to be checked.
    """
    state = request.app.state
    platform: Platform = state.platform
    host = request.client.host if request.client is not None else None
    attempt = Attempt(client_id=credentials.client_id, address=site_of(host))
    check = _Check(platform, state.hashers, state.guard, attempt)
    client = await platform.store.glance(identity.client, credentials.client_id)
    for secret in credentials.secrets:
        if await check.is_right(secret, client or _NOBODY) and client is not None:
            return client
    state.guard.refuse_spent(attempt, platform.clock())
    state.guard.failed(attempt, platform.clock())
    raise invalid_client(_WRONG)


async def recognised(request: Request, client_id: str, secret: str) -> Row:
    """Return the stored client whose secret this is, as :func:`proven` does.

    Raises:
        Unauthenticated: there is no such client, or the secret is wrong.
        TooManyAttempts: too many secrets were wrong.
        Unavailable: the store does not answer, or too many secrets wait to be checked.
    """
    try:
        return await proven(request, Credentials(client_id=client_id, secrets=(secret,)))
    except OAuthError as refusal:
        raise Unauthenticated(refusal.description) from refusal


_NOBODY: dict[str, Any] = {
    "secret_hash": None,
    "older_secret_hash": None,
    "older_secret_until": None,
}


class _Check:
    """One attempt at proving who one is."""

    def __init__(
        self, platform: Platform, hashers: Hashers, guard: Guard, attempt: Attempt
    ) -> None:
        self._platform = platform
        self._hashers = hashers
        self._guard = guard
        self._attempt = attempt

    async def is_right(self, secret: str, client: Row) -> bool:
        stored = secrets.good_hashes(client, self._platform.clock())
        if secrets.is_made(secret):
            return secrets.matches(secret, stored, self._platform.pepper)
        chosen = secrets.chosen_hash(stored)
        if self._guard.knows(self._attempt.client_id, secret, chosen):
            return True
        self._guard.refuse_spent(self._attempt, self._platform.clock())
        right = await self._slowly(secret, stored)
        if right and chosen is not None:
            self._guard.remember(self._attempt.client_id, secret, chosen)
        return right

    async def _slowly(self, secret: str, stored: tuple[str, ...]) -> bool:
        self._guard.begin(self._attempt, self._platform.clock())
        try:
            return await self._hashers.run(secrets.matches, secret, stored, self._platform.pepper)
        finally:
            self._guard.end(self._attempt, self._platform.clock())
