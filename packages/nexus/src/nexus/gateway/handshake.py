"""Where it is decided whether a connection may come in."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from nexus.domain.errors import Forbidden, NexusError, Unauthenticated
from nexus.domain.principal import Principal
from nexus.services.platform import Platform
from oblivion.protocol import CallError


def shown(platform: Platform, query: str, auth: object) -> Principal:
    """Return whom a connection shows a token of, as it was when the token was made.

    The token comes in the connect packet's ``auth``, or in the query for older clients.

    Raises:
        Unauthenticated: no token, a wrong or an expired one.
    """
    token = _token(query, auth)
    if token is None:
        raise Unauthenticated('no token; connect with auth {"token": ...} from POST /auth/token')
    return platform.tokens.read(token, platform.clock())


def _token(query: str, auth: object) -> str | None:
    if isinstance(auth, Mapping) and isinstance(auth.get("token"), str):
        return str(auth["token"])
    return next(iter(parse_qs(query).get("token", ())), None)


def refusal(error: NexusError) -> dict[str, Any]:
    """Return what the ``connect_error`` of a refused connection carries as ``data``."""
    code = "unauthorized" if isinstance(error, Forbidden) else error.code
    return CallError(code=code, message=error.message, retryable=error.retryable).to_wire()
