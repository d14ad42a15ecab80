"""Where an open page hears what changed, as server-sent events."""

from collections.abc import AsyncIterator

import orjson
from starlette.responses import Response, StreamingResponse

from nexus.domain.errors import NexusError, Unauthenticated
from nexus.observer import entrance
from nexus.observer.newsroom import Viewer
from nexus.observer.visit import Visit, position

BEAT_S = 15.0
"""So often a page that hears nothing hears that; and it is seen to that it may still look."""

RETRY_MS = 1000


async def stream(visit: Visit) -> Response:
    """Tell the page what changes, until it is closed, signed out, or this node stops."""
    await visit.read(position)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_told(visit), media_type="text/event-stream", headers=headers)


async def _told(visit: Visit) -> AsyncIterator[bytes]:
    known = visit.request.headers.get("last-event-id") or visit.asked.get("after", "")
    after = int(known) if known.isascii() and known.isdigit() and len(known) < 19 else -1
    yield b"retry: %d\n\n" % RETRY_MS
    async with visit.house.newsroom.viewer(visit.claimed.tenant_id, after) as viewer:
        while not viewer.over:
            said = await _next(visit, viewer)
            if said is None:
                yield b"event: over\ndata: {}\n\n"
                return
            yield said


async def _next(visit: Visit, viewer: Viewer) -> bytes | None:
    """Return the next event; None when the person may not look any more."""
    news = await viewer.next(BEAT_S)
    if news is None:
        return b"event: beat\ndata: {}\n\n" if await _may_look(visit) else None
    return b"id: %d\nevent: news\ndata: %b\n\n" % (news.position, orjson.dumps(news.told()))


async def _may_look(visit: Visit) -> bool:
    try:
        entrance.signed_in(visit.house, visit.request)
        await visit.read(position)
    except Unauthenticated:
        return False
    except NexusError:
        return True  # the store may answer again
    return True
