"""Where events come in over a connection that we opened: no address of ours need be public."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from nexus.domain.errors import Invalid, Unavailable
from nexus.domain.json_values import MAX_DEPTH, is_too_deep, refuse_nul
from nexus.domain.slack_tokens import WHERE
from nexus.integrations.slack import letters
from nexus.integrations.slack.client import Refused, SlackApi
from nexus.integrations.worker import Halted, Postponed
from nexus.services import deliveries
from nexus.services.platform import Platform

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
LOOK_EVERY_S = 1.0
"""How often it is looked whether the connection still stands."""

PING_EVERY_S = 2.0
CONNECT_S = 10.0

_log = logging.getLogger("nexus.integrations.slack")
_quiet = logging.Logger("slack_sdk", logging.CRITICAL + 1)  # noqa: LOG001 - for us alone
"""What the library would say of each try in vain: we say once why, and once that it is over."""


class SocketMode:
    """Keeps a connection to Slack; what comes is stored before it is acknowledged.

    ``tell`` is told why there is no connection, and None once there is one again.
    """

    def __init__(
        self,
        platform: Platform,
        tenant_id: str,
        app_token: str,
        api: SlackApi,
        tell: Callable[[str | None], None],
    ) -> None:
        self._platform = platform
        self._tenant_id = tenant_id
        self._app_token = app_token
        self._api = api
        self._tell = tell
        self._pause = FIRST_PAUSE_S

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            try:
                await self._live()
            except Exception as error:  # noqa: BLE001 - the library lets anything through
                self._tell(f"Socket Mode is not connected: {_reason(error)}")
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE_S)

    async def _live(self) -> None:
        """Live through one client of the library, from its connection to the loss of that.

        By itself the client would try in vain for ever, with an address that is good for once.
        """
        opened = await self._api.call("apps_connections_open", app_token=self._app_token)
        client = SocketModeClient(
            app_token=self._app_token,
            logger=_quiet,
            web_client=AsyncWebClient(base_url=self._api.base_url, logger=_quiet),
            auto_reconnect_enabled=False,
            ping_interval=PING_EVERY_S,
        )
        client.wss_uri = opened["url"]
        client.socket_mode_request_listeners.append(self._take)
        try:
            async with asyncio.timeout(CONNECT_S):
                await client.connect()  # type: ignore[no-untyped-call]  # the library's
            self._pause = FIRST_PAUSE_S
            self._tell(None)
            while await client.is_connected():  # noqa: ASYNC110 - the library tells nobody
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            await client.close()  # type: ignore[no-untyped-call]  # the library's

    async def _take(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        """Store an envelope's payload, then acknowledge it; Slack sends anew what is not."""
        payload: Mapping[str, Any] = request.payload
        try:
            _refuse_unstorable(payload)
            letter = letters.of(payload, self._tenant_id)
            if letter is not None:
                await self._platform.store.write(deliveries.post, letter)
        except Invalid as error:
            _log.info("slack_ignored reason=%r", error.message)
        except Unavailable as error:
            _log.warning("slack_envelope_not_stored reason=%r", error.message)
            return
        await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))


def _refuse_unstorable(payload: object) -> None:
    """Refuse what can not be stored, as it is refused over HTTP.

    Raises:
        Invalid: it is no object, nested too deep, or holds NUL.
    """
    if not isinstance(payload, Mapping):
        raise Invalid("it is no JSON object")
    if is_too_deep(payload):
        raise Invalid(f"it is nested deeper than {MAX_DEPTH} levels")
    refuse_nul(payload)


def _reason(error: Exception) -> str:
    if isinstance(error, Halted):
        return f"Slack does not accept SLACK_APP_TOKEN; {WHERE['SLACK_APP_TOKEN']}"
    if isinstance(error, Refused):
        return f"{error}; {WHERE['SLACK_APP_TOKEN']}, and enable *Socket Mode*"
    if isinstance(error, Postponed):
        return error.why
    return str(error) or type(error).__name__
