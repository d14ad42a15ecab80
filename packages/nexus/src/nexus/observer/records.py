"""Where people look back: at what happened, and at who did what."""

from dataclasses import dataclass

from starlette.responses import Response

from nexus.domain.principal import Principal
from nexus.observer.feed import Sentence, sentences
from nexus.observer.task_pages import open_projects, own_id
from nexus.observer.visit import Visit, further
from nexus.services import activity as feed
from nexus.services import audit as log
from nexus.services.activity import ActivityFilter
from nexus.services.audit import AuditFilter
from nexus.services.resources import AuditEntry, Project
from nexus.store.tx import Tx

_ROWS = 50


@dataclass(frozen=True, kw_only=True)
class Happened:
    """A page of the feed; ``older`` continues it."""

    entries: list[Sentence]
    older: int | None
    projects: list[Project]


async def activity(visit: Visit) -> Response:
    """List what happened, newest first, what fits."""
    asked = visit.asked_of("kind", "agent_id", "project_id")
    cursor = visit.asked.get("cursor")
    wanted = ActivityFilter.model_validate({**asked, "cursor": cursor, "limit": _ROWS})
    found = await visit.read(lambda tx, caller: _happened(tx, caller, wanted))
    older = further(asked, found.older)
    return visit.page("activity.html", found=found, asked=asked, cursor=cursor, next_page=older)


def _happened(tx: Tx, caller: Principal, wanted: ActivityFilter) -> Happened:
    agent_id = own_id(tx, caller, wanted.agent_id)
    wanted = wanted.model_copy(update={"agent_id": agent_id})
    rows, older = feed.search(tx, caller.tenant_id, wanted)
    return Happened(entries=sentences(tx, rows), older=older, projects=open_projects(tx, caller))


async def audit(visit: Visit) -> Response:
    """List who did what to what, when and from where, newest first."""
    asked = visit.asked_of("actor", "action", "target")
    cursor = visit.asked.get("cursor")
    wanted = AuditFilter.model_validate({**asked, "cursor": cursor, "limit": _ROWS})
    entries, more = await visit.read(lambda tx, caller: _audited(tx, caller, wanted))
    next_page = further(asked, entries[-1].seq if more else None)
    return visit.page(
        "audit.html", entries=entries, asked=asked, cursor=cursor, next_page=next_page
    )


def _audited(tx: Tx, caller: Principal, wanted: AuditFilter) -> tuple[list[AuditEntry], bool]:
    caller.require_admin()
    rows = log.newest(tx, caller.tenant_id, wanted)
    return [log.view(row) for row in rows[:_ROWS]], len(rows) > _ROWS
