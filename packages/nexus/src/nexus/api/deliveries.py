"""Where people see over HTTP what came in from other services and goes out to them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from nexus.api.answers import answer
from nexus.api.bodies import JsonRoute
from nexus.api.door import AdminDoor, ViewerDoor
from nexus.api.paging import Page, page_of
from nexus.services import mailbox
from nexus.services.mailbox import DeliveryFilter
from nexus.services.resources import Backlog, Delivery

router = APIRouter(prefix="/observer/deliveries", tags=["observer"], route_class=JsonRoute)

Wanted = Annotated[DeliveryFilter, Query()]
DeliveryId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("", response_model=Page[Delivery])
async def list_deliveries(door: ViewerDoor, wanted: Wanted) -> Response:
    """List deliveries, newest first: how each stands, and what was wrong with it at last."""
    rows = await door.read(lambda tx, caller: mailbox.search(tx, caller.tenant_id, wanted))
    return answer(page_of(rows, wanted.limit, lambda shown: [mailbox.view(row) for row in shown]))


@router.get("/counts", response_model=Page[Backlog])
async def count_deliveries(door: ViewerDoor) -> Response:
    """Show for each box how many deliveries wait, since when, and how many failed."""
    boxes = await door.read(lambda tx, caller: mailbox.backlog(tx, caller.tenant_id))
    return answer(Page(items=boxes))


@router.post("/{delivery_id}/retry", response_model=Delivery)
async def retry_delivery(door: AdminDoor, delivery_id: DeliveryId) -> Response:
    """Have a delivery that failed tried again, as if it were new."""
    return await door.post(lambda tx, caller: mailbox.retry(tx, caller, delivery_id))
