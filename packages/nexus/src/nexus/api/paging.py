"""Where lists are cut into pages: ``limit`` and ``cursor`` in, ``items`` and ``nextCursor`` out."""

from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from nexus.store.tx import Row
from oblivion.protocol import WireModel

T = TypeVar("T", bound=WireModel)

Limit = Annotated[int, Query(ge=1, le=200, description="how many at most")]
Cursor = Annotated[
    str | None, Query(max_length=128, description="`nextCursor` of the page before this one")
]


class Paging(BaseModel):
    """Which part of a list is wanted."""

    limit: int
    cursor: str | None


async def _paging(limit: Limit = 50, cursor: Cursor = None) -> Paging:
    return Paging(limit=limit, cursor=cursor)


Paged = Annotated[Paging, Depends(_paging)]


class Page(WireModel, Generic[T]):
    """A part of a list; without ``next_cursor`` it is the last one."""

    items: list[T] = Field(default_factory=list)
    next_cursor: str | None = None


def page_of(rows: Sequence[Row], limit: int, view: Callable[[Sequence[Row]], list[T]]) -> Page[T]:
    """Return the page that ``rows`` hold; one row more than ``limit`` says that there are more."""
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(items=view(shown), next_cursor=str(shown[-1]["id"]) if more else None)
