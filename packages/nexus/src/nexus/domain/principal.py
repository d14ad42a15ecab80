"""Where it lives who is asking: the caller behind a token, and what its role allows."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from nexus.domain.errors import Forbidden


class Role(StrEnum):
    """What a client is, and the scope of its tokens; an admin may do what a viewer may."""

    AGENT = "agent"
    ADMIN = "admin"
    VIEWER = "viewer"

    @property
    def covers(self) -> "frozenset[Role]":
        """The roles in which a client of this role may act."""
        return _COVERS[self]


_COVERS = {
    Role.ADMIN: frozenset({Role.ADMIN, Role.VIEWER}),
    Role.VIEWER: frozenset({Role.VIEWER}),
    Role.AGENT: frozenset({Role.AGENT}),
}


def narrowed(role: Role, scopes: Iterable[str]) -> Role | None:
    """Return the role in which a client acts that asks for these scopes; None if it may not.

    Without a scope that is its own; of several, the one that allows the most.
    """
    wanted = set(scopes)
    if not wanted:
        return role
    if not wanted <= role.covers:
        return None
    return role if role in wanted else Role(min(wanted))


@dataclass(frozen=True, kw_only=True)
class Principal:
    """An authenticated caller, always of one tenant.

    ``epoch`` counts how often all tokens of the client were made void; ``token_id`` and
    ``token_expires_ms`` name the token that it shows, if it does.
    """

    tenant_id: str
    client_id: str
    role: Role
    agent_id: str | None = None
    epoch: int = 0
    token_id: str = ""
    token_expires_ms: int = 0

    @property
    def is_admin(self) -> bool:
        """Whether the caller administers its tenant."""
        return self.role is Role.ADMIN

    def require_admin(self) -> None:
        """Refuse anyone but an admin."""
        if not self.is_admin:
            raise Forbidden("this needs the role admin")

    def require_viewer(self) -> None:
        """Refuse agents: only people's roles may look at everything."""
        if self.role not in {Role.ADMIN, Role.VIEWER}:
            raise Forbidden("this needs the role admin or viewer")

    def require_agent(self) -> str:
        """Return the agent's id, or refuse a caller that is no agent."""
        if self.agent_id is None:
            raise Forbidden("only agents can do this; use an agent's credentials")
        return self.agent_id
