"""Where people see what goes on: a tenant at a glance, and what happened, now and as it happens."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from nexus.api.answers import answer
from nexus.api.door import Door, ViewerDoor
from nexus.api.paging import Page, page_of
from nexus.api.waiting import Draining, Watch, look_until, unless_gone, watching
from nexus.domain.principal import Principal
from nexus.domain.redaction import without_secrets
from nexus.services import activity, statistics, views
from nexus.services.command import Command
from nexus.services.resources import Activity, Stats
from nexus.store.tx import Row, Tx

router = APIRouter(prefix="/observer", tags=["observer"])

LONGEST_WAIT_S = 30

Position = Annotated[int, Field(ge=0, le=2**63 - 1)]


class FeedFilter(Command):
    """Which part of the feed is wanted: below ``cursor``, or what came after ``after``."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: Position | None = None
    after: Position | None = None
    wait_seconds: float = Field(default=0, ge=0, le=LONGEST_WAIT_S, allow_inf_nan=False)
    """With ``after``: how long to wait for something to happen."""


Wanted = Annotated[FeedFilter, Query()]


@router.get("/stats", response_model=Stats)
async def show_stats(door: ViewerDoor) -> Response:
    """Show how many agents, tasks, groups and projects there are."""
    return answer(await door.read(lambda tx, caller: statistics.of_tenant(tx, caller.tenant_id)))


@router.get("/activity", response_model=Page[Activity])
async def list_activity(
    request: Request, door: ViewerDoor, drain: Draining, wanted: Wanted
) -> Response:
    """List what happened, newest first; or, with `after`, what came since, oldest first.

    With `after` the `nextCursor` is always there: it is the next `after`.
    """
    if wanted.after is None:
        rows = await door.read(lambda tx, caller: _newest(tx, caller, wanted))
        return answer(page_of(rows, wanted.limit, _shown))
    with watching(door.platform, activity.topic(door.claimed.tenant_id), drain) as watch:
        came = await unless_gone(request, _came_since(door, wanted, wanted.after, watch)) or []
    newest = came[-1]["id"] if came else wanted.after
    # Whoever waits again should do so at another node, or when this one is back.
    headers = {"Connection": "close"} if drain.begun else {}
    return answer(Page(items=_shown(came), next_cursor=str(newest)), headers=headers)


def _newest(tx: Tx, caller: Principal, wanted: FeedFilter) -> list[Row]:
    return activity.newest(tx, caller.tenant_id, limit=wanted.limit + 1, before=wanted.cursor)


async def _came_since(door: Door, wanted: FeedFilter, after: int, watch: Watch) -> Sequence[Row]:
    async def look() -> list[Row]:
        return await door.read(
            lambda tx, caller: activity.since(tx, caller.tenant_id, after=after, limit=wanted.limit)
        )

    return await look_until(look, watch, wanted.wait_seconds)


def _shown(rows: Sequence[Row]) -> list[Activity]:
    return [
        Activity(
            id=row["id"],
            at=views.moment(row["at"]),
            type=row["type"],
            agent_id=row["agent_id"],
            project_id=row["project_id"],
            task_id=row["task_id"],
            data={to_camel(name): _told(value) for name, value in row["data"].items()},
        )
        for row in rows
    ]


def _told(value: object) -> object:
    """Return what is told: who quotes a secret in a thread has it stay there."""
    return without_secrets(value) if isinstance(value, str) else value
