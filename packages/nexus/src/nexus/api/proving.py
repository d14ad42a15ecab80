"""Where clients prove who they are: a secret is checked first, and tells only who knows it more."""

from nexus.api.credentials import Credentials, invalid_client
from nexus.api.hashing import Hashers
from nexus.services import identity, secrets
from nexus.services.platform import Platform
from nexus.store.tx import Row

_WRONG = "unknown client or wrong secret"


async def proven(platform: Platform, hashers: Hashers, credentials: Credentials) -> Row:
    """Return the stored row of the client whose secret this is, whether or not it may come in.

    Raises:
        OAuthError: there is no such client, or the secret is another; the answer is the same.
        Unavailable: too many secrets are being checked.
    """
    client = await platform.store.read(identity.client, credentials.client_id)
    stored = None if client is None else str(client["secret_hash"])
    for secret in credentials.secrets:
        if await _matches(hashers, secret, stored, platform.pepper):
            break
    else:
        raise invalid_client(_WRONG)
    if client is None:
        raise invalid_client(_WRONG)
    return client


async def _matches(hashers: Hashers, secret: str, stored: str | None, pepper: bytes) -> bool:
    if secrets.is_made(secret):
        return secrets.matches(secret, stored, pepper)
    return await hashers.run(secrets.matches, secret, stored, pepper)
