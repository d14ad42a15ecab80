"""Where events come in over a connection that we opened: no address of ours need be public."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from nexus.domain.errors import Unavailable
from nexus.integrations.slack import letters
from nexus.services import deliveries
from nexus.services.platform import Platform

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
LOOK_EVERY_S = 2.0
"""How often it is looked whether the connection still stands."""

_log = logging.getLogger("nexus.integrations.slack")


class SocketMode:
    """Keeps a connection to Slack; what comes is stored before it is acknowledged."""

    def __init__(self, platform: Platform, tenant_id: str, app_token: str, api_url: str) -> None:
        self._platform = platform
        self._tenant_id = tenant_id
        self._app_token = app_token
        self._api_url = api_url

    async def run(self) -> None:
        """Stay connected until cancelled."""
        client = SocketModeClient(
            app_token=self._app_token,
            web_client=AsyncWebClient(base_url=self._api_url),
            ping_interval=LOOK_EVERY_S,
        )
        client.socket_mode_request_listeners.append(self._take)
        try:
            await self._connect(client)
            await asyncio.Event().wait()  # the client comes back by itself from then on
        finally:
            await client.close()  # type: ignore[no-untyped-call]  # the library's

    async def _connect(self, client: SocketModeClient) -> None:
        pause = FIRST_PAUSE_S
        while True:
            try:
                await client.connect()  # type: ignore[no-untyped-call]  # the library's
            except Exception as error:  # noqa: BLE001 - the library lets anything through
                _log.warning("slack_socket_mode_failed reason=%r", str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
            else:
                return

    async def _take(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        """Store an envelope's payload, then acknowledge it; Slack sends anew what is not."""
        payload: Mapping[str, Any] = request.payload
        try:
            letter = letters.of(payload, self._tenant_id)
            if letter is not None:
                await self._platform.store.write(deliveries.post, letter)
        except Unavailable as error:
            _log.warning("slack_envelope_not_stored reason=%r", error.message)
            return
        await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
