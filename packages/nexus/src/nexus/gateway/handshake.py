"""Where it is decided whether a connection may come in."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from nexus.domain.errors import Forbidden, NexusError, Unauthenticated
from nexus.domain.principal import Principal
from nexus.services import identity
from nexus.services.platform import Platform
from oblivion.protocol import CallError


async def admit(platform: Platform, query: str, auth: object) -> Principal:
    """Return the agent behind a connection.

    The token comes in the connect packet's ``auth``, or in the query for older clients.

    Raises:
        Unauthenticated: no token, a wrong or an expired one, or an agent that may not come in.
        Forbidden: the caller is not an agent.
        Unavailable: the store does not answer.
    """
    token = _token(query, auth)
    if token is None:
        raise Unauthenticated('no token; connect with auth {"token": ...} from POST /auth/token')
    claimed = platform.tokens.read(token, platform.clock())
    caller = await platform.store.read(identity.principal, claimed.client_id)
    if caller.agent_id is None:
        raise Forbidden("only agents connect here; use an agent's credentials")
    return caller


def _token(query: str, auth: object) -> str | None:
    if isinstance(auth, Mapping) and isinstance(auth.get("token"), str):
        return str(auth["token"])
    return next(iter(parse_qs(query).get("token", ())), None)


def refusal(error: NexusError) -> dict[str, Any]:
    """Return what the ``connect_error`` of a refused connection carries as ``data``."""
    code = "unauthorized" if isinstance(error, Forbidden) else error.code
    return CallError(code=code, message=error.message, retryable=error.retryable).to_wire()
