"""Where it is told for the audit log what a request does, before it does it."""

from fastapi import Request

from nexus.domain.audit_chain import End, audit_key
from nexus.domain.principal import Principal, Role
from nexus.services import audit
from nexus.services.audit import Act
from nexus.services.deeds import UNAUDITED, Deed
from nexus.services.idempotency import Answer
from nexus.services.platform import Platform
from nexus.store.tx import Row, Tx


def registered(
    tx: Tx, platform: Platform, request: Request, token: Row, done: Answer
) -> End | None:
    """Add to the token's tenant's chain that an agent asked to join; None for a repeated answer."""
    if done.repeated:
        return None
    act = Act(
        actor=str(done.body["clientId"]),
        role=Role.AGENT,
        action="register_agent",
        target=str(done.body["agentId"]),
        address=address_of(request),
        details={"registrationTokenId": token["id"], "name": done.body["name"]},
    )
    return audit.append(tx, audit_key(platform.pepper), token["tenant_id"], act)


def revoked(tx: Tx, platform: Platform, request: Request, client: Row, token: Principal) -> End:
    """Add to the chain of a token's tenant that a client which proved who it is made it void."""
    act = Act(
        actor=client["client_id"],
        role=client["role"],
        action="revoke_token",
        target=token.agent_id or token.client_id,
        address=address_of(request),
        details={"clientId": token.client_id, "jti": token.token_id},
    )
    return audit.append(tx, audit_key(platform.pepper), token.tenant_id, act)


async def deed_of(request: Request) -> Deed | None:
    """Return what a request is about to do; None where it is kept elsewhere, or only looks."""
    operation = request.scope["route"].name
    if request.method == "GET" or operation in UNAUDITED:
        return None
    return Deed(
        action=operation,
        address=address_of(request),
        names={name: str(value) for name, value in request.path_params.items()},
        body=await request.body(),
    )


def address_of(request: Request) -> str | None:
    """Return the address of the caller, as trusted proxies tell it."""
    return None if request.client is None else request.client.host
