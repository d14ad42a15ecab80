"""Where agents are received: admitted, greeted, and served until their session ends."""

import asyncio
import logging
from collections.abc import Container
from typing import Any

from nexus.delivery import Delivery, LiveSession, Outlet, OutletClosed
from nexus.domain.errors import NexusError
from nexus.gateway.connection import Connection
from nexus.gateway.door import ASGIApp, FrontDoor
from nexus.gateway.handshake import refusal, shown
from nexus.gateway.line import Exchange
from nexus.gateway.receipts import Receipts
from nexus.gateway.rounds import Rounds
from nexus.gateway.seams import Refused
from nexus.services import views
from nexus.services.platform import Platform
from oblivion.protocol import (
    PROTOCOL_VERSION,
    CallError,
    ConnectedPayload,
    ErrorCode,
    EventType,
)

_log = logging.getLogger("nexus.gateway")


class Reception:
    """Lets agents in: the gateway's :class:`~nexus.gateway.seams.Host`."""

    def __init__(self, platform: Platform, delivery: Delivery) -> None:
        self._platform = platform
        self._delivery = delivery
        self._receipts = Receipts(platform)

    async def admit(self, outlet: Outlet, query: str, auth: Any) -> "Visitor":
        """Open a session for an agent.

        Raises:
            Refused: not this one, or not now.
        """
        try:
            if self._delivery.draining:
                raise _refused(_draining())
            claimed = shown(self._platform, query, auth)
            session = await self._delivery.open(claimed, outlet)
        except NexusError as error:
            raise _refused(refusal(error)) from error
        except Refused:
            raise
        except Exception as error:
            _log.exception("admission_failed")
            raise _refused(_failed()) from error
        return Visitor(self._platform, session, self._receipts)


class Visitor(Connection):
    """An agent that was let in: the gateway's :class:`~nexus.gateway.seams.Guest`."""

    async def welcome(self) -> None:
        """Greet the agent; what there is for it comes by itself from then on."""
        try:
            greeting = _greeting(self._platform, self.session)
            await self.session.outlet.send(EventType.CONNECTED, greeting)
        except OutletClosed:
            self.session.hang_up()

    def gone(self) -> None:
        """End the session, for its connection is gone."""
        self.session.hang_up()


def _greeting(platform: Platform, session: LiveSession) -> dict[str, Any]:
    return ConnectedPayload(
        message="welcome to Nexus; send agent_ready",
        agent_id=session.ref.agent_id,
        session_id=session.ref.session_id,
        server_time=views.moment(platform.clock()),
        heartbeat_interval_ms=platform.limits.heartbeat_interval_ms,
        protocol=PROTOCOL_VERSION,
        epoch=session.epoch,
    ).to_wire()


def _refused(error: dict[str, Any]) -> Refused:
    return Refused({"message": error["message"], "data": error})


def _draining() -> dict[str, Any]:
    message = "this Nexus is about to stop; come back in a moment"
    return CallError(code=ErrorCode.SERVER_DRAINING, message=message, retryable=True).to_wire()


def _failed() -> dict[str, Any]:
    message = "Nexus failed; this is its fault"
    return CallError(code=ErrorCode.INTERNAL, message=message, retryable=True).to_wire()


def create_gateway(
    platform: Platform, delivery: Delivery, app: ASGIApp, origins: Container[str] = ()
) -> FrontDoor:
    """Return what answers at this node's port: Socket.IO for agents, ``app`` for all else.

    Agents that run in a browser come from pages of this host, or of one of ``origins``.
    To be called within the event loop that serves it.
    """
    rounds = Rounds(asyncio.get_running_loop())
    return FrontDoor(Exchange(host=Reception(platform, delivery), rounds=rounds), app, origins)
