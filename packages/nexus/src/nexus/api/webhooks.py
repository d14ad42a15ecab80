"""Where other services tell what happens there: proven, stored, answered; seen to afterwards."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from nexus.api.answers import answer
from nexus.api.intake import Intake

router = APIRouter(prefix="/webhooks", tags=["webhooks"])


@router.post("/slack")
async def receive_slack(request: Request) -> Response:
    """Take in an event or a pressed button from Slack; signed with the app's signing secret."""
    return await _receive(request, "slack")


@router.post("/clickup")
async def receive_clickup(request: Request) -> Response:
    """Take in an event from ClickUp; for now 404."""
    return await _receive(request, "clickup")


@router.post("/github")
async def receive_github(request: Request) -> Response:
    """Take in an event from GitHub; for now 404."""
    return await _receive(request, "github")


async def _receive(request: Request, source: str) -> Response:
    intake: Intake = request.app.state.intake
    received = await intake.receive(source, request.headers, await request.body())
    # No body where none is asked for: to a pressed button it would be a message.
    return Response() if received.answer is None else answer(received.answer)
