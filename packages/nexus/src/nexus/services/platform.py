"""Where the parts meet that every edge needs to carry out a command."""

from dataclasses import dataclass, field
from typing import Protocol

from nexus.bus import Bus
from nexus.domain.audit_chain import End
from nexus.domain.limits import Limits
from nexus.services.sealing import KeySource, NoKeys
from nexus.services.tokens import Tokens
from nexus.store.ids import new_id
from nexus.store.unit_of_work import Clock, UnitOfWork


class Anchor(Protocol):
    """Whatever holds on, outside the database, to how far the audit log goes."""

    async def hold(self, end: End) -> None:
        """Return once this end is kept."""
        ...


@dataclass(frozen=True, kw_only=True)
class Platform:
    """The store, the bus and the keys of one running node; made once, by the composition root."""

    store: UnitOfWork
    bus: Bus
    tokens: Tokens
    pepper: bytes = field(repr=False)
    clock: Clock
    anchor: Anchor
    limits: Limits = field(default_factory=Limits)
    node_id: str = field(default_factory=new_id)
    sealing: KeySource = field(default_factory=NoKeys, repr=False)
    """What seals the secrets of tools."""
    is_shared: bool = False
    """Whether other nodes work on the same database."""

    @property
    def draining_topic(self) -> str:
        """The topic that is woken when this node is about to stop: whoever waits should leave."""
        return f"draining:{self.node_id}"
