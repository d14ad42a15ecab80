"""Where people see what goes on: a tenant at a glance, and what happened, now and as it happens."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from nexus.api.answers import answer
from nexus.api.door import Door, ViewerDoor
from nexus.api.paging import Limit, Page, Position, page_of
from nexus.api.waiting import look_until, unless_gone, watching
from nexus.domain.principal import Principal
from nexus.services import activity, statistics, views
from nexus.services.resources import Activity, Stats
from nexus.store.tx import Row, Tx

router = APIRouter(prefix="/observer", tags=["observer"])

LONGEST_WAIT_S = 30

Wait = Annotated[
    float,
    Query(
        alias="waitSeconds",
        ge=0,
        le=LONGEST_WAIT_S,
        allow_inf_nan=False,
        description="with `after`: how long to wait for something to happen",
    ),
]


@router.get("/stats", response_model=Stats)
async def show_stats(door: ViewerDoor) -> Response:
    """Show how many agents, tasks, groups and projects there are."""
    return answer(await door.read(lambda tx, caller: statistics.of_tenant(tx, caller.tenant_id)))


@router.get("/activity", response_model=Page[Activity])
async def list_activity(
    request: Request,
    door: ViewerDoor,
    limit: Limit = 50,
    cursor: Position = None,
    after: Position = None,
    wait_s: Wait = 0,
) -> Response:
    """List what happened, newest first; or, with `after`, what came since, oldest first.

    With `after` the `nextCursor` is always there: it is the next `after`.
    """
    if after is None:
        rows = await door.read(lambda tx, caller: _newest(tx, caller, limit, cursor))
        return answer(page_of(rows, limit, _shown))
    came = await _came_since(request, door, after, limit, wait_s)
    newest = came[-1]["id"] if came else after
    return answer(Page(items=_shown(came), next_cursor=str(newest)))


def _newest(tx: Tx, caller: Principal, limit: int, before: int | None) -> list[Row]:
    return activity.newest(tx, caller.tenant_id, limit=limit + 1, before=before)


async def _came_since(
    request: Request, door: Door, after: int, limit: int, wait_s: float
) -> Sequence[Row]:
    async def look() -> list[Row]:
        return await door.read(
            lambda tx, caller: activity.since(tx, caller.tenant_id, after=after, limit=limit)
        )

    with watching(door.platform, activity.topic(door.claimed.tenant_id)) as watch:
        return await unless_gone(request, look_until(look, watch, wait_s)) or []


def _shown(rows: Sequence[Row]) -> list[Activity]:
    return [
        Activity(
            id=row["id"],
            at=views.moment(row["at"]),
            type=row["type"],
            agent_id=row["agent_id"],
            project_id=row["project_id"],
            task_id=row["task_id"],
            data={to_camel(name): value for name, value in row["data"].items()},
        )
        for row in rows
    ]
