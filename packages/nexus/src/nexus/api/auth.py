"""Where clients get their access tokens (RFC 6749, section 4.4) and find out how (RFC 8414)."""

from typing import Any

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from starlette.responses import Response

from nexus.api.answers import Json
from nexus.api.credentials import (
    GRANT,
    Credentials,
    OAuthError,
    invalid_client,
    read_credentials,
)
from nexus.api.door import Here
from nexus.domain.errors import NexusError, Unauthenticated, Unavailable
from nexus.domain.principal import Principal, Role
from nexus.services import identity, secrets
from nexus.services.platform import Platform

router = APIRouter(tags=["auth"])

_BUSY_HASHERS = 2
"""How many secrets are checked with argon2id at once: each takes a core and 64 MiB."""

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_WRONG = "unknown client or wrong secret"


def new_hashers() -> anyio.CapacityLimiter:
    """Return the bound on slow secret checks that one API has."""
    return anyio.CapacityLimiter(_BUSY_HASHERS)


@router.post("/auth/token", openapi_extra={"requestBody": {"required": True, "content": {}}})
async def issue_token(request: Request, platform: Here) -> Response:
    """Give a client that proves who it is an access token.

    The credentials come as a form, as JSON, or with HTTP Basic; the answer is
    `{access_token, token_type, expires_in, scope}`, an error one of RFC 6749, section 5.2.
    """
    try:
        credentials = await read_credentials(request)
        caller = await _authenticate(request, platform, credentials)
    except OAuthError as refusal:
        return _refused(refusal)
    except NexusError as error:
        return _failed(error)
    granted = {
        "access_token": platform.tokens.issue(caller, platform.clock()),
        "token_type": "Bearer",
        "expires_in": platform.tokens.lifetime_s,
        "scope": caller.role,
    }
    return Json(granted, headers=_NO_STORE)


async def _authenticate(
    request: Request, platform: Platform, credentials: Credentials
) -> Principal:
    client = await platform.store.read(identity.client, credentials.client_id)
    stored = None if client is None else str(client["secret_hash"])
    for secret in credentials.secrets:
        if await _matches(request, secret, stored, platform.pepper):
            break
    else:
        raise invalid_client(_WRONG)
    try:
        return await platform.store.read(identity.principal, credentials.client_id)
    except Unauthenticated as refusal:
        raise invalid_client(refusal.message) from refusal


async def _matches(request: Request, secret: str, stored: str | None, pepper: bytes) -> bool:
    if secrets.is_made(secret):
        return secrets.matches(secret, stored, pepper)
    hashers: anyio.CapacityLimiter = request.app.state.hashers
    return await run_sync(secrets.matches, secret, stored, pepper, limiter=hashers)


def _refused(refusal: OAuthError) -> Response:
    body = {"error": refusal.error, "error_description": refusal.description}
    headers = dict(_NO_STORE)
    if refusal.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="nexus", charset="UTF-8"'
    return Json(body, status_code=refusal.status, headers=headers)


def _failed(error: NexusError) -> Response:
    """Say in OAuth's words what the server could not do; RFC 6749 has no word for 413 or 503."""
    name = "temporarily_unavailable" if isinstance(error, Unavailable) else "invalid_request"
    headers = dict(_NO_STORE)
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    body = {"error": name, "error_description": error.message}
    return Json(body, status_code=error.status, headers=headers)


@router.get("/.well-known/oauth-authorization-server")
async def describe_server(request: Request) -> dict[str, Any]:
    """Return what a client must know to get a token."""
    issuer = str(request.base_url).rstrip("/")
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/auth/token",
        "grant_types_supported": [GRANT],
        "response_types_supported": [],
        "scopes_supported": sorted(Role),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    }
