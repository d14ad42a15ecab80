"""Where it lives who is asking: the caller behind a token, and what its role allows."""

from dataclasses import dataclass
from enum import StrEnum

from nexus.domain.errors import Forbidden


class Role(StrEnum):
    """What a client is; an admin may do what a viewer may."""

    AGENT = "agent"
    ADMIN = "admin"
    VIEWER = "viewer"


@dataclass(frozen=True, kw_only=True)
class Principal:
    """An authenticated caller, always of one tenant."""

    tenant_id: str
    client_id: str
    role: Role
    agent_id: str | None = None

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
