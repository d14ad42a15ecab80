"""Where machines ask how Nexus is: alive, ready, and in numbers."""

import asyncio
import contextlib

from fastapi import APIRouter, Request
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response

from nexus.api.door import Here
from nexus.api.metrics import REGISTRY, show_backlog
from nexus.domain.errors import Unavailable
from nexus.services import mailbox, readiness
from nexus.services.resources import Backlog
from nexus.services.views import moment
from nexus.services.workspace import Workspace

router = APIRouter(tags=["health"])

_PATIENCE_S = 2.0


@router.head("/livez", include_in_schema=False)
@router.get("/livez")
async def livez() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "alive"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz")
async def readyz(request: Request, platform: Here) -> dict[str, str]:
    """Say whether requests can be served: the store answers, and its schema is this version's.

    How Slack stands is told beside it: Nexus is ready without Slack as well. So is it that the
    database refused something within the last minute, for reads go on meanwhile.
    """
    try:
        async with asyncio.timeout(_PATIENCE_S):
            current = await platform.store.read(readiness.schema_is_current)
    except TimeoutError as error:
        raise Unavailable(f"the store did not answer within {_PATIENCE_S:g} s") from error
    if not current:
        raise Unavailable("the schema is not this version's; run nexus migrate")
    workspace: Workspace | None = request.app.state.workspace
    refused = platform.store.refusals.recent
    return (
        {"status": "ready"}
        | ({} if workspace is None else {"slack": workspace.state.word})
        | ({} if refused is None else {"refused": refused})
    )


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request, platform: Here) -> Response:
    """Return the numbers of this process in the text form of Prometheus.

    How deliveries stand is asked of the store; it is left out while that does not answer.
    """
    boxes: list[Backlog] = []
    with contextlib.suppress(TimeoutError, Unavailable):
        async with asyncio.timeout(_PATIENCE_S):
            boxes = await platform.store.read(mailbox.backlog)
    show_backlog(boxes, moment(platform.clock()))
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(REGISTRY), headers={"Content-Type": content_type})
