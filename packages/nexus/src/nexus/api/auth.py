"""Where clients get their access tokens (RFC 6749, section 4.4) and find out how (RFC 8414)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from nexus.api.answers import Json
from nexus.api.auditing import revoked
from nexus.api.credentials import FORM, GRANT, OAuthError, invalid_client, read_asked
from nexus.api.problems import BASIC
from nexus.api.proving import proven
from nexus.domain.audit_chain import End
from nexus.domain.errors import (
    Forbidden,
    NexusError,
    TooManyAttempts,
    Unauthenticated,
    Unavailable,
)
from nexus.domain.principal import Principal, Role, narrowed
from nexus.services import identity, revocations
from nexus.services.platform import Platform
from nexus.store.tx import Row, Tx

router = APIRouter(tags=["auth"])

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_METHODS = ["client_secret_basic", "client_secret_post"]


class AccessToken(BaseModel):
    """What a client gets (RFC 6749, section 5.1); ``scope`` is its role."""

    access_token: str
    token_type: str = "Bearer"
    expires_in: int
    scope: Role


class Metadata(BaseModel):
    """What RFC 8414 has a client know; no grant that we offer has an authorization endpoint."""

    issuer: str
    token_endpoint: str
    revocation_endpoint: str
    grant_types_supported: list[str] = [GRANT]
    response_types_supported: list[str] = ["none"]
    """Has to be there and must not be empty (sections 2 and 3.2)."""
    scopes_supported: list[str] = sorted(Role)
    token_endpoint_auth_methods_supported: list[str] = _METHODS
    revocation_endpoint_auth_methods_supported: list[str] = _METHODS


class Refusal(BaseModel):
    """Why it gets none (RFC 6749, section 5.2); ``code`` is the protocol's own word."""

    error: str
    error_description: str
    code: str | None = None


_FIELDS: dict[str, dict[str, str]] = {
    "grant_type": {"type": "string", "const": GRANT},
    "client_id": {"type": "string"},
    "client_secret": {"type": "string", "format": "password"},
    "scope": {"type": "string"},
    "token": {"type": "string", "format": "password"},
    "token_type_hint": {"type": "string"},
}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal} for status in (400, 401, 422, 429, 503)
}


def _body(names: Sequence[str], form: Sequence[str], json: Sequence[str]) -> dict[str, Any]:
    properties = {name: _FIELDS[name] for name in names}
    schema = {"type": "object", "properties": properties}
    return {
        "content": {
            FORM: {"schema": {**schema, "required": [*form]}},
            "application/json": {"schema": {**schema, "required": [*json]}},
        }
    }


_CREDENTIALS = ("client_id", "client_secret")
_TOKEN_BODY = _body(("grant_type", *_CREDENTIALS, "scope"), form=["grant_type"], json=_CREDENTIALS)
_REVOKE_BODY = _body((*_CREDENTIALS, "token", "token_type_hint"), form=["token"], json=["token"])


@router.post(
    "/auth/token",
    response_model=AccessToken,
    responses=_REFUSALS,
    openapi_extra={"requestBody": _TOKEN_BODY},
)
async def issue_token(request: Request) -> Response:
    """Give a client that proves who it is an access token.

    The credentials come as a form, as JSON, or with HTTP Basic beside a form. A ``scope`` narrows
    what the token allows.
    """
    try:
        asked = await read_asked(request)
        asked.require_grant()
        caller = _admitted(await proven(request, asked.credentials))
        scoped = _scoped(caller, asked.fields.get("scope", ""))
    except OAuthError as refusal:
        return _refused(refusal)
    except NexusError as error:
        return _failed(error)
    platform: Platform = request.app.state.platform
    token = {
        "access_token": platform.tokens.issue(scoped, platform.clock()),
        "token_type": "Bearer",
        "expires_in": platform.tokens.lifetime_s,
        "scope": scoped.role,
    }
    return Json(token, headers=_NO_STORE)


def _admitted(client: Row) -> Principal:
    """Only who knows the secret is told more than that something is wrong."""
    try:
        return identity.admitted(client)
    except Unauthenticated as refusal:
        raise invalid_client(refusal.message, refusal.code) from refusal


def _scoped(caller: Principal, scope: str) -> Principal:
    role = narrowed(caller.role, scope.split(" ") if scope else ())
    if role is None:
        allowed = " or ".join(sorted(caller.role.covers))
        raise OAuthError("invalid_scope", f"this client may ask for the scope {allowed}")
    return caller if role is caller.role else replace(caller, role=role)


@router.post(
    "/auth/revoke",
    response_class=Response,
    responses={200: {"description": "The token is void, or was none.", "content": {}}, **_REFUSALS},
    openapi_extra={"requestBody": _REVOKE_BODY},
)
async def revoke_token(request: Request) -> Response:
    """Make a token void before its time (RFC 7009), and end the session that it opened.

    The client proves who it is as for a token. It may revoke its own tokens, and an admin those
    of every client in its tenant. What is no good token is as void as it can be: that is 200 too.
    """
    try:
        asked = await read_asked(request)
        client = await proven(request, asked.credentials)
        platform: Platform = request.app.state.platform
        token = _good(platform, asked.required("token"))
        if token is not None:
            await _revoke(platform, request, client, token)
    except OAuthError as refusal:
        return _refused(refusal)
    except Forbidden as refusal:
        return _refused(OAuthError("unauthorized_client", refusal.message))
    except NexusError as error:
        return _failed(error)
    return Response(status_code=200, headers=_NO_STORE)


async def _revoke(platform: Platform, request: Request, client: Row, token: Principal) -> None:
    def revoke(tx: Tx) -> End | None:
        if not revocations.revoke(tx, client, token):
            return None
        return revoked(tx, platform, request, client, token)

    end = await platform.store.write(revoke)
    if end is not None:
        await platform.anchor.hold(end)


def _good(platform: Platform, token: str) -> Principal | None:
    try:
        return platform.tokens.read(token, platform.clock())
    except Unauthenticated:
        return None


def _refused(refusal: OAuthError) -> Response:
    headers = dict(_NO_STORE)
    if refusal.status == 401:
        headers["WWW-Authenticate"] = BASIC
    said = Refusal(error=refusal.error, error_description=refusal.description, code=refusal.code)
    return _answer(said, refusal.status, headers)


def _failed(error: NexusError) -> Response:
    """Say in OAuth's form what RFC 6749 has no words for."""
    if isinstance(error, (Unavailable, TooManyAttempts)):
        headers = {**_NO_STORE, "Retry-After": str(error.retry_after)}
        said = Refusal(error="temporarily_unavailable", error_description=error.message)
        return _answer(said, error.status, headers)
    said = Refusal(error="invalid_request", error_description=error.message)
    return _answer(said, error.status, _NO_STORE)


def _answer(said: Refusal, status: int, headers: dict[str, str]) -> Response:
    return Json(said.model_dump(exclude_none=True), status_code=status, headers=headers)


@router.get("/.well-known/oauth-authorization-server", response_model=Metadata)
async def describe_server(request: Request) -> Response:
    """Return what a client must know to get a token, at the address by which it came."""
    issuer = str(request.base_url).rstrip("/")
    return Json(
        Metadata(
            issuer=issuer,
            token_endpoint=f"{issuer}/auth/token",
            revocation_endpoint=f"{issuer}/auth/revoke",
        ).model_dump(mode="json")
    )
