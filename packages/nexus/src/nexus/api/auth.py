"""Where clients get their access tokens (RFC 6749, section 4.4) and find out how (RFC 8414)."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from nexus.api.answers import Json
from nexus.api.credentials import (
    FORM,
    GRANT,
    Credentials,
    OAuthError,
    invalid_client,
    read_credentials,
)
from nexus.api.door import Here
from nexus.api.hashing import Hashers, Hashing
from nexus.api.problems import BASIC
from nexus.api.proving import proven
from nexus.domain.errors import NexusError, Unauthenticated, Unavailable
from nexus.domain.principal import Principal, Role
from nexus.services import identity
from nexus.services.platform import Platform

router = APIRouter(tags=["auth"])

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class AccessToken(BaseModel):
    """What a client gets (RFC 6749, section 5.1); ``scope`` is its role."""

    access_token: str
    token_type: str = "Bearer"
    expires_in: int
    scope: Role


class Refusal(BaseModel):
    """Why it gets none (RFC 6749, section 5.2); ``code`` is the protocol's own word."""

    error: str
    error_description: str
    code: str | None = None


_FIELDS = {
    "type": "object",
    "properties": {
        "grant_type": {"type": "string", "const": GRANT},
        "client_id": {"type": "string"},
        "client_secret": {"type": "string", "format": "password"},
    },
}
_BODY = {
    "content": {
        FORM: {"schema": {**_FIELDS, "required": ["grant_type"]}},
        "application/json": {"schema": {**_FIELDS, "required": ["client_id", "client_secret"]}},
    }
}


@router.post(
    "/auth/token",
    response_model=AccessToken,
    responses={400: {"model": Refusal}, 401: {"model": Refusal}, 422: {"model": Refusal}},
    openapi_extra={"requestBody": _BODY},
)
async def issue_token(request: Request, platform: Here, hashers: Hashing) -> Response:
    """Give a client that proves who it is an access token.

    The credentials come as a form, as JSON, or with HTTP Basic beside a form.
    """
    try:
        credentials = await read_credentials(request)
        caller = await _authenticate(platform, hashers, credentials)
    except OAuthError as refusal:
        return _refused(refusal)
    except NexusError as error:
        return _failed(error)
    token = AccessToken(
        access_token=platform.tokens.issue(caller, platform.clock()),
        expires_in=platform.tokens.lifetime_s,
        scope=caller.role,
    )
    return Json(token.model_dump(mode="json"), headers=_NO_STORE)


async def _authenticate(
    platform: Platform, hashers: Hashers, credentials: Credentials
) -> Principal:
    client = await proven(platform, hashers, credentials)
    try:
        return identity.admitted(client)
    except Unauthenticated as refusal:
        raise invalid_client(refusal.message, refusal.code) from refusal


def _refused(refusal: OAuthError) -> Response:
    headers = dict(_NO_STORE)
    if refusal.status == 401:
        headers["WWW-Authenticate"] = BASIC
    said = Refusal(error=refusal.error, error_description=refusal.description, code=refusal.code)
    return _answer(said, refusal.status, headers)


def _failed(error: NexusError) -> Response:
    """Say in OAuth's form what RFC 6749 has no words for."""
    if isinstance(error, Unavailable):
        headers = {**_NO_STORE, "Retry-After": str(error.retry_after)}
        said = Refusal(error="temporarily_unavailable", error_description=error.message)
        return _answer(said, error.status, headers)
    said = Refusal(error="invalid_request", error_description=error.message)
    return _answer(said, error.status, _NO_STORE)


def _answer(said: Refusal, status: int, headers: dict[str, str]) -> Response:
    return Json(said.model_dump(exclude_none=True), status_code=status, headers=headers)


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
