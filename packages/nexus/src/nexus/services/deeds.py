"""Where people's acts are carried out: judged, done, and kept in the audit log, all at once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson

from nexus.domain.audit_chain import End, audit_key
from nexus.domain.principal import Principal
from nexus.services import audit, identity
from nexus.services.audit import Act
from nexus.services.idempotency import Answer
from nexus.services.platform import Platform
from nexus.store.tx import Tx

R = TypeVar("R")
Requirement = Callable[[Principal], object]

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
            names = (done.body.get(field) for field in ("id", "clientId", "name"))
            made = next(filter(None, names), None)
        else:
            made = getattr(done, "id", None)
        named = next(iter(self.names.values()), None)
        return str(made) if made is not None else named

    def _said(self) -> dict[str, Any]:
        said = orjson.loads(self.body) if self.body else {}
        return said if isinstance(said, dict) else {"body": said}


@dataclass(frozen=True, kw_only=True)
class Doer:
    """Who shows a token or a session, and what its role has to be for what it is about to do."""

    claimed: Principal
    requires: Requirement

    def enter(self, tx: Tx, act: Callable[[Tx, Principal], R]) -> R:
        """Judge the caller by what is stored now, which may be newer than what it shows."""
        caller = identity.principal(tx, self.claimed)
        self.requires(caller)
        return act(tx, caller)


async def carry_out(
    platform: Platform, doer: Doer, act: Callable[[Tx, Principal], R], deed: Deed | None
) -> R:
    """Carry out ``act`` and return its result once it is on disk, the deed with it."""
    if deed is None:
        return await platform.store.write(doer.enter, act)

    def audited(tx: Tx) -> tuple[R, End | None]:
        def both(tx: Tx, caller: Principal) -> tuple[R, End | None]:
            done = act(tx, caller)
            return done, deed.record(tx, platform.pepper, caller, done)

        return doer.enter(tx, both)

    done, end = await platform.store.write(audited)
    if end is not None:
        await platform.anchor.hold(end)
    return done
