"""Where a client's request is read: form, HTTP Basic or JSON (RFC 6749, sections 2.3.1 and 4.4)."""

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
_TEXTS = ("client_id", "client_secret", "scope", "token", "token_type_hint")
"""What is read of a JSON body beside the grant; RFC 6749 has others ignored."""


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


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a client says who it is, if it does, and what else it says."""

    basic: Credentials | None
    fields: Mapping[str, str] = field(repr=False)

    @property
    def credentials(self) -> Credentials:
        """Who the client says it is.

        Raises:
            OAuthError: it does not, or says two things.
        """
        if self.basic is not None:
            return _agreeing(self.basic, self.fields)
        return _from_fields(self.fields)

    def require_grant(self) -> None:
        """Refuse another grant than that of client credentials.

        Raises:
            OAuthError: it asks for another one, or for none.
        """
        grant = self.fields.get("grant_type")
        if grant is None:
            raise invalid_request(f"grant_type is missing; send grant_type={GRANT}")
        if grant != GRANT:
            raise OAuthError("unsupported_grant_type", f"only grant_type={GRANT} is supported")

    def required(self, name: str) -> str:
        """Return a parameter.

        Raises:
            OAuthError: it is missing.
        """
        value = self.fields.get(name)
        if not value:
            raise invalid_request(f"{name} is missing")
        return value


async def read_asked(request: Request) -> Asked:
    """Return what a client asks for at an endpoint of OAuth.

    Raises:
        OAuthError: it cannot be read.
    """
    basic = read_basic(request)
    fields = _fields(request.headers.get("content-type", ""), await request.body())
    return Asked(basic=basic, fields=fields)


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
        pair = _text(base64.b64decode(encoded.strip(), validate=True))
        client_id, colon, secret = pair.partition(":")
        decoded = unquote_plus(secret, errors="strict")
        name = unquote_plus(client_id, errors="strict")
    except (binascii.Error, ValueError) as error:
        raise invalid_client("the Authorization header is not valid HTTP Basic") from error
    if not colon:
        raise invalid_client("the Authorization header is not valid HTTP Basic")
    # Clients should encode both parts; many do not, so a secret counts as it stands too.
    return Credentials(client_id=name, secrets=tuple(dict.fromkeys((decoded, secret))))


def _text(said: bytes) -> str:
    """Return what a client wrote: in UTF-8 as it was told to, or as older ones do, in Latin-1."""
    try:
        return said.decode()
    except UnicodeDecodeError:
        return said.decode("latin-1")


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
    named = {name: value[name] for name in _TEXTS if value.get(name) is not None}
    for name, text in named.items():
        if not isinstance(text, str):
            raise invalid_request(f"{name} must be a text")
    grant = value.get("grant_type", GRANT)
    return {**named, "grant_type": grant if isinstance(grant, str) else repr(grant)}


def _from_fields(fields: Mapping[str, str]) -> Credentials:
    missing = [name for name in ("client_id", "client_secret") if not fields.get(name)]
    if missing:
        raise invalid_request(f"{' and '.join(missing)} missing; send both, or use HTTP Basic")
    return Credentials(client_id=fields["client_id"], secrets=(fields["client_secret"],))
