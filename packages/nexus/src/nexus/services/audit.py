"""Where it is kept who did what to what, when and from where: in a chain for each tenant.

People's acts and what concerns safety are kept; the work of agents is in the feed, and making tasks
and talking, which people do all day, are told by the tasks and threads themselves.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa
from pydantic import Field

from nexus.domain import audit_chain
from nexus.domain.audit_chain import FIRST, End, Finding, Walk
from nexus.domain.redaction import summary
from nexus.services import views
from nexus.services.command import Command
from nexus.services.resources import AuditEntry
from nexus.store.schema import audit, tenants
from nexus.store.statement import Statement
from nexus.store.tx import Row, Tx

INSTALLATION = "installation"
"""The role of whoever has the data folder at hand: the server itself, and its offline commands."""

_CHUNK = 1000
_NEWEST = Statement(
    sa.select(audit.c.seq, audit.c.seal)
    .where(audit.c.tenant_id == sa.bindparam("tenant_id"))
    .order_by(audit.c.seq.desc())
    .limit(1)
)


@dataclass(frozen=True, kw_only=True)
class Act:
    """What somebody did; ``details`` are JSON, and are freed of secrets before they are kept."""

    actor: str
    role: str
    action: str
    target: str | None = None
    address: str | None = None
    details: Any = field(default_factory=dict)


class AuditFilter(Command):
    """Which entries are wanted; ``cursor`` continues below the entry with that number."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: int | None = Field(default=None, ge=0, le=2**63 - 1)
    actor: str | None = Field(default=None, max_length=128)
    action: str | None = Field(default=None, max_length=64)
    target: str | None = Field(default=None, max_length=128)


def append(tx: Tx, key: bytes, tenant_id: str, act: Act) -> End:
    """Add an entry to the tenant's chain, in the transaction of the act; return the chain's end."""
    tx.exclude("audit", tenant_id)  # whoever appends on another connection waits for this one
    newest = tx.one(_NEWEST, tenant_id=tenant_id)
    seq, previous = (1, FIRST) if newest is None else (newest["seq"] + 1, newest["seal"])
    entry = {
        "tenant_id": tenant_id,
        "seq": seq,
        "at": tx.now,
        "actor": act.actor,
        "role": act.role,
        "address": act.address,
        "action": act.action,
        "target": act.target,
        "details": orjson.dumps(summary(act.details)).decode(),
    }
    sealed = audit_chain.seal(key, previous, entry)
    tx.insert(audit, {**entry, "seal": sealed})
    return End(tenant_id=tenant_id, seq=seq, seal=sealed)


def newest(tx: Tx, tenant_id: str, wanted: AuditFilter) -> Sequence[Row]:
    """Return entries, newest first; one more than the limit when there are more."""
    query = audit.select().where(audit.c.tenant_id == tenant_id)
    for name in ("actor", "action", "target"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(audit.c[name] == value)
    if wanted.cursor is not None:
        query = query.where(audit.c.seq < wanted.cursor)
    return tx.rows(query.order_by(audit.c.seq.desc()).limit(wanted.limit + 1))


def view(entry: Row) -> AuditEntry:
    """Return an entry as HTTP shows it."""
    return AuditEntry(
        seq=entry["seq"],
        at=views.moment(entry["at"]),
        actor=entry["actor"],
        role=entry["role"],
        address=entry["address"],
        action=entry["action"],
        target=entry["target"],
        details=_details(entry["details"]),
        seal=entry["seal"],
    )


def _details(text: str) -> dict[str, object]:
    """Return what stands there; what somebody broke is shown as it is, `verify` tells of it."""
    try:
        details = orjson.loads(text)
    except orjson.JSONDecodeError:
        details = None
    return details if isinstance(details, dict) else {"unreadable": text}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a look at one tenant's chain has found; ``end`` is as far as it goes."""

    tenant_id: str
    slug: str
    end: End
    findings: list[Finding]


def verify(
    tx: Tx, key: bytes, anchors: Iterable[End], newest: int | None = None
) -> Iterator[Verdict]:
    """Look at every chain to its end, and at those that anchors alone know.

    From its beginning, or at its ``newest`` entries alone.
    """
    known: dict[str, list[End]] = {}
    for anchor in anchors:
        known.setdefault(anchor.tenant_id, []).append(anchor)
    slugs = {row["id"]: row["slug"] for row in tx.rows(sa.select(tenants.c.id, tenants.c.slug))}
    kept = {row["tenant_id"] for row in tx.rows(sa.select(audit.c.tenant_id).distinct())}
    for tenant_id in sorted({*slugs, *kept, *known}):
        end, findings = walked(tx, key, tenant_id, known.get(tenant_id, ()), newest)
        slug = slugs.get(tenant_id, tenant_id)
        yield Verdict(tenant_id=tenant_id, slug=slug, end=end, findings=findings)


def walked(
    tx: Tx, key: bytes, tenant_id: str, anchors: Iterable[End], newest: int | None = None
) -> tuple[End, list[Finding]]:
    """Look at one tenant's chain; return how far it goes and what was found.

    From its beginning, or at its ``newest`` entries alone.
    """
    begin = None if newest is None else _before(tx, tenant_id, newest)
    walk = Walk(key, tenant_id, anchors, begin)
    entries = _all(tx, tenant_id, -(2**63) if begin is None else begin.seq)
    findings = [found for entry in entries for found in walk.step(entry)]
    return walk.end, [*findings, *walk.finish()]


def _before(tx: Tx, tenant_id: str, newest: int) -> End | None:
    """Return the entry before the newest ones; None where there is none."""
    mine = sa.select(audit.c.seq, audit.c.seal).where(audit.c.tenant_id == tenant_id)
    found = tx.one(mine.order_by(audit.c.seq.desc()).offset(newest).limit(1))
    return None if found is None else End(tenant_id=tenant_id, **found)


def _all(tx: Tx, tenant_id: str, after: int) -> Iterator[Row]:
    mine = audit.select().where(audit.c.tenant_id == tenant_id).order_by(audit.c.seq)
    while chunk := tx.rows(mine.where(audit.c.seq > after).limit(_CHUNK)):
        yield from chunk
        after = chunk[-1]["seq"]
