"""Where the built-in tool ``slack`` lives: it says what agents say, in channels that are allowed.

It has a connection of its own beside that of the mirror: what the mirror shows waits in a queue and
comes in its order, while an agent that calls a tool waits for the answer. That a call is made once
is the gateway's care.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from nexus.domain.tool_catalogue import Action
from nexus.tools.builtins._outcomes import unknown
from nexus.tools.builtins._slack_answers import code_of, pause_after, told
from nexus.tools.builtins._slack_wishes import WISHES
from nexus.tools.builtins._wishes import Repertoire
from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode

NAME = "slack"
GAP_S = 1.0
"""Slack takes about one message a second in each channel."""

_REPERTOIRE = Repertoire(NAME, WISHES)
_WRITING = frozenset({"chat.postMessage"})
_DONE_ALREADY = frozenset({"already_reacted"})


class SlackTool:
    """Slack as a tool, in these channels and no others; ``gap_s`` lies between two messages."""

    def __init__(
        self, token: str, api_url: str, channels: Sequence[str], gap_s: float = GAP_S
    ) -> None:
        self._token = token
        self._api_url = api_url
        self._channels = tuple(channels)
        self._gap_s = gap_s
        self._http: aiohttp.ClientSession | None = None
        self._open_at: dict[str, float] = {}

    async def run(self) -> None:
        """Keep connections to Slack until cancelled."""
        async with aiohttp.ClientSession() as http:
            self._http = http
            try:
                await asyncio.Event().wait()
            finally:
                self._http = None

    async def list_tools(self) -> Sequence[Action]:
        """Return what it can do, and where."""
        where = f"Channels: {', '.join(self._channels)}"
        return [
            replace(action, description=f"{action.description} {where}"[:4_000])
            for action in _REPERTOIRE.actions
        ]

    async def call(self, action: str, params: Mapping[str, Any], timeout: float) -> Any:
        """Do it; what Slack puts off is done while there is time.

        Raises:
            ToolError: Slack refused, or cannot be reached, or the channel is not allowed.
        """
        wish = _REPERTOIRE.wish(action, params)
        if self._http is None:
            raise ToolError("slack is still being started", ToolCode.TOOL_UNAVAILABLE)
        until = time.monotonic() + timeout
        client = AsyncWebClient(
            token=self._token,
            base_url=self._api_url,
            timeout=max(1, int(timeout)),
            session=self._http,
            retry_handlers=[],
        )

        async def caller(method: str, channel: str, **arguments: Any) -> Mapping[str, Any]:
            self._check(channel)
            if method in _WRITING:
                await self._take_turn(channel, until)
            return await _called(client, method, {"channel": channel, **arguments}, until)

        try:
            return await wish.carry_out(caller)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ToolError("Slack's answer is not as it should be") from error

    def _check(self, channel: str) -> None:
        if channel not in self._channels:
            known = ", ".join(self._channels)
            said = f"{channel} is not among the channels that are allowed; these are: {known}"
            raise ToolError(said, ToolCode.NOT_ALLOWED)

    async def _take_turn(self, channel: str, until: float) -> None:
        """Wait until the channel takes a further message; each has a turn of its own."""
        now = time.monotonic()
        turn = max(now, self._open_at.get(channel, 0.0))
        if turn >= until:
            said = f"others post in this channel; try again in {turn - now:.0f} s"
            raise ToolError(said)
        self._open_at[channel] = turn + self._gap_s
        await asyncio.sleep(turn - now)


async def _called(
    client: AsyncWebClient, method: str, arguments: Mapping[str, Any], until: float
) -> Mapping[str, Any]:
    """Call a method of the Web API; again, when Slack asks to wait, and there is time for that."""
    writes = method in _WRITING
    while True:
        try:
            answer = await client.api_call(method, data=dict(arguments))
        except SlackApiError as error:
            if code_of(error) in _DONE_ALREADY:
                return {}
            pause = pause_after(error)
            if pause is None or time.monotonic() + pause >= until:
                raise told(error, method, writes=writes) from error
            await asyncio.sleep(pause)
        except aiohttp.ClientConnectorError as error:
            raise ToolError("Slack cannot be reached", ToolCode.TOOL_UNAVAILABLE) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if writes:
                raise unknown("the connection to Slack was lost") from error
            raise ToolError("the connection to Slack was lost; try again") from error
        else:
            return answer.data if isinstance(answer.data, dict) else {}
