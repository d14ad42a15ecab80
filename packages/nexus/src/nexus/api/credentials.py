"""Where a token request is read: form, HTTP Basic or JSON (RFC 6749, sections 2.3.1 and 4.4)."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote_plus

from starlette.requests import Request

from nexus.api.bodies import parse_json
from nexus.domain.errors import NexusError

GRANT = "client_credentials"
FORM = "application/x-www-form-urlencoded"


class OAuthError(Exception):
    """A refusal as RFC 6749, section 5.2, wants it."""

    def __init__(
        self, error: str, description: str, status: int = 400, code: str | None = None
    ) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status
        self.code = code


def invalid_client(description: str, code: str | None = None) -> OAuthError:
    """Return the refusal of a client that did not prove who it is, or may not come in."""
    return OAuthError("invalid_client", description, 401, code)


def invalid_request(description: str) -> OAuthError:
    """Return the refusal of a request that cannot be read."""
    return OAuthError("invalid_request", description)


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a client says to prove who it is; ``secrets`` are the ways in which it can be read."""

    client_id: str
    secrets: tuple[str, ...] = field(repr=False)


async def read_credentials(request: Request) -> Credentials:
    """Return the credentials of a token request.

    Raises:
        OAuthError: it has none, or asks for another grant.
    """
    basic = read_basic(request)
    fields = _fields(request.headers.get("content-type", ""), await request.body())
    _require_grant(fields)
    return _agreeing(basic, fields) if basic is not None else _from_fields(fields)


def _agreeing(basic: Credentials, fields: Mapping[str, str]) -> Credentials:
    """Return the credentials of HTTP Basic; the body may repeat them, but not say otherwise."""
    same_id = fields.get("client_id", basic.client_id) == basic.client_id
    same_secret = fields.get("client_secret", basic.secrets[0]) in basic.secrets
    if not (same_id and same_secret):
        raise invalid_request("the body and the Authorization header name different clients")
    return basic


def read_basic(request: Request) -> Credentials | None:
    """Return the credentials of HTTP Basic; None when the request shows none, or others.

    Raises:
        OAuthError: they cannot be read.
    """
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None  # many clients send their old token along
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode()
        client_id, colon, secret = pair.partition(":")
        decoded = unquote_plus(secret, errors="strict")
        name = unquote_plus(client_id, errors="strict")
    except (binascii.Error, ValueError) as error:
        raise invalid_client("the Authorization header is not valid HTTP Basic") from error
    if not colon:
        raise invalid_client("the Authorization header is not valid HTTP Basic")
    # Clients should encode both parts; many do not, so a secret counts as it stands too.
    return Credentials(client_id=name, secrets=tuple(dict.fromkeys((decoded, secret))))


def _fields(content_type: str, body: bytes) -> dict[str, str]:
    said = content_type.partition(";")[0].strip().lower()
    if not body:
        return {}
    if said == "application/json":
        return _json_fields(body)
    if said == FORM:
        return _form_fields(body)
    raise invalid_request(f"send the body as {FORM} or as application/json")


def _form_fields(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=100
        )
    except ValueError as error:
        raise invalid_request("the body is not a valid form in UTF-8") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise invalid_request("a parameter comes more than once")
    return {name: value for name, value in fields.items() if value}


def _json_fields(body: bytes) -> dict[str, str]:
    try:
        value = parse_json(body)
    except NexusError as error:
        raise invalid_request(error.message) from error
    if not isinstance(value, dict):
        raise invalid_request('send a JSON object: {"client_id": ..., "client_secret": ...}')
    named = {name: value[name] for name in ("client_id", "client_secret") if name in value}
    if not all(isinstance(text, str) for text in named.values()):
        raise invalid_request("client_id and client_secret must be texts")
    grant = value.get("grant_type", GRANT)
    return {**named, "grant_type": grant if isinstance(grant, str) else repr(grant)}


def _require_grant(fields: Mapping[str, str]) -> None:
    grant = fields.get("grant_type")
    if grant is None:
        raise invalid_request(f"grant_type is missing; send grant_type={GRANT}")
    if grant != GRANT:
        raise OAuthError("unsupported_grant_type", f"only grant_type={GRANT} is supported")


def _from_fields(fields: Mapping[str, str]) -> Credentials:
    missing = [name for name in ("client_id", "client_secret") if not fields.get(name)]
    if missing:
        raise invalid_request(f"{' and '.join(missing)} missing; send both, or use HTTP Basic")
    return Credentials(client_id=fields["client_id"], secrets=(fields["client_secret"],))
