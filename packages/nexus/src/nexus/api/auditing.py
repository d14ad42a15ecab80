"""Where it is told for the audit log what a request does, before it does it."""

from dataclasses import dataclass, field
from typing import Any

import orjson
from fastapi import Request

from nexus.domain.audit_chain import End, audit_key
from nexus.domain.principal import Principal, Role
from nexus.services import audit
from nexus.services.audit import Act
from nexus.services.idempotency import Answer
from nexus.services.platform import Platform
from nexus.store.tx import Row, Tx

UNAUDITED = frozenset({"create_task", "speak", "reply_in_thread"})
"""What people do all day; the task says who made it, the thread who said what, the feed when."""

_LONGEST_TARGET = 256


@dataclass(frozen=True, kw_only=True)
class Deed:
    """A request that changes something: its operation, what it names and says, where it is from."""

    action: str
    address: str | None
    names: dict[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    def record(self, tx: Tx, pepper: bytes, caller: Principal, done: Any) -> End | None:
        """Add what was done to the caller's chain; None where nothing was done anew."""
        if isinstance(done, Answer) and done.repeated:
            return None
        target = self._target(done)
        act = Act(
            actor=caller.client_id,
            role=caller.role,
            action=self.action,
            target=None if target is None else target[:_LONGEST_TARGET],
            address=self.address,
            details={**self.names, **self._said()},
        )
        return audit.append(tx, audit_key(pepper), caller.tenant_id, act)

    def _target(self, done: Any) -> str | None:
        """Return the id of what was made or changed, else what the address names."""
        if isinstance(done, Answer):
            made = done.body.get("id") or done.body.get("clientId")
        else:
            made = getattr(done, "id", None)
        named = next(iter(self.names.values()), None)
        return str(made) if made is not None else named

    def _said(self) -> dict[str, Any]:
        said = orjson.loads(self.body) if self.body else {}
        return said if isinstance(said, dict) else {"body": said}


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
