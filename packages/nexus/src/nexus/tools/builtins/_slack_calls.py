"""Where the tool ``slack`` calls Slack's Web API: in its channels, at its pace, within its time."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from nexus.domain.slack_answers import Answer
from nexus.tools.builtins._outcomes import unknown
from nexus.tools.builtins._slack_answers import told
from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode

_WRITING = frozenset({"chat.postMessage"})
_DONE_ALREADY = frozenset({"already_reacted"})
_SPARE = 0.1
"""The share of a call's time before whose end the last answer is given up, so that it is told."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How Slack is called, in seconds: at most one message every ``gap`` in each channel.

    ``answer`` is how long an answer may take, ``settle`` how long after one was lost it is looked
    what became of it.
    """

    gap: float = 1.0
    answer: float = 10.0
    settle: float = 1.0


USUAL = Pace()


class Channels:
    """The channels that are allowed, and when each takes a further message."""

    def __init__(self, allowed: Sequence[str], pace: Pace) -> None:
        self._allowed = tuple(allowed)
        self._open_at: dict[str, float] = {}
        self.pace = pace

    def __str__(self) -> str:
        return ", ".join(self._allowed)

    def check(self, channel: str) -> None:
        """Refuse any other channel.

        Raises:
            ToolError: it is not among those that are allowed.
        """
        if channel not in self._allowed:
            said = f"{channel} is not among the channels that are allowed; these are: {self}"
            raise ToolError(said, ToolCode.NOT_ALLOWED)

    async def take_turn(self, channel: str, until: float) -> None:
        """Wait until the channel takes a further message; each has a turn of its own.

        Raises:
            ToolError: it does not before ``until``.
        """
        now = time.monotonic()
        turn = max(now, self._open_at.get(channel, 0.0))
        if turn >= until:
            said = f"others post in this channel; try again in {turn - now:.0f} s"
            raise ToolError(said)
        self._open_at[channel] = turn + self.pace.gap
        await asyncio.sleep(turn - now)


class Calls:
    """The calls of Slack's Web API that one call of the tool leads to, within ``seconds``."""

    def __init__(self, client: AsyncWebClient, channels: Channels, seconds: float) -> None:
        self._client = client
        self._channels = channels
        self._until = time.monotonic() + seconds * (1 - _SPARE)

    async def __call__(self, method: str, channel: str, **arguments: Any) -> Mapping[str, Any]:
        """Call a method about a channel; again, when Slack asks to wait and there is time for that.

        Raises:
            ToolError: Slack refused, or cannot be reached, or the channel is none of the tool's.
        """
        self._channels.check(channel)
        if method in _WRITING:
            await self._channels.take_turn(channel, self._until)
        while True:
            try:
                return await self._ask(method, {"channel": channel, **arguments})
            except SlackApiError as error:
                answer = Answer.of(error)
                if answer.code in _DONE_ALREADY:
                    return {}
                pause = answer.pause_s
                if pause is None or time.monotonic() + pause >= self._until:
                    raise told(answer, method, writes=method in _WRITING) from error
                await asyncio.sleep(pause)

    async def settle(self) -> None:
        """Wait until what was on its way to Slack has arrived, if it ever does."""
        await asyncio.sleep(self._channels.pace.settle)

    async def _ask(self, method: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        left = self._until - time.monotonic()
        if left <= 0:
            raise ToolError("no time is left to ask Slack", ToolCode.TIMED_OUT)
        try:
            async with asyncio.timeout(min(self._channels.pace.answer, left)):
                answer = await self._client.api_call(method, data=dict(arguments))
        except aiohttp.ClientConnectorError as error:
            raise ToolError("Slack cannot be reached", ToolCode.TOOL_UNAVAILABLE) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if method in _WRITING:
                raise unknown("Slack's answer was lost") from error
            raise ToolError("Slack's answer was lost; try again") from error
        return answer.data if isinstance(answer.data, dict) else {}
