"""Where admins read over HTTP who did what."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from nexus.api.answers import answer
from nexus.api.door import AdminDoor
from nexus.api.paging import Page
from nexus.services import audit
from nexus.services.audit import AuditFilter
from nexus.services.resources import AuditEntry

router = APIRouter(prefix="/observer/audit", tags=["observer"])

Wanted = Annotated[AuditFilter, Query()]


@router.get("", response_model=Page[AuditEntry])
async def list_audit(door: AdminDoor, wanted: Wanted) -> Response:
    """List who did what to what, when and from where, newest first."""
    rows = await door.read(lambda tx, caller: audit.newest(tx, caller.tenant_id, wanted))
    shown = [audit.view(row) for row in rows[: wanted.limit]]
    more = len(rows) > wanted.limit
    return answer(Page(items=shown, next_cursor=str(shown[-1].seq) if more else None))
