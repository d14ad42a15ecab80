"""Where the built-in tool ``slack`` lives: it says what agents say, in channels that are allowed.

It has a connection of its own beside that of the mirror: what the mirror shows waits in a queue and
comes in its order, while an agent that calls a tool waits for the answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from nexus.domain.tool_catalogue import Action
from nexus.tools.builtins._connections import Connections
from nexus.tools.builtins._slack_calls import USUAL, Calls, Channels, Pace
from nexus.tools.builtins._slack_wishes import WISHES
from nexus.tools.builtins._wishes import Repertoire
from nexus.tools.provider import ToolError

NAME = "slack"
_REPERTOIRE = Repertoire(NAME, WISHES)


class SlackTool:
    """Slack as a tool, in these channels and no others."""

    def __init__(
        self, token: str, api_url: str, channels: Sequence[str], pace: Pace = USUAL
    ) -> None:
        self._token = token
        self._api_url = api_url
        self._channels = Channels(channels, pace)
        self._connections = Connections(NAME)

    async def run(self) -> None:
        """Keep connections to Slack until cancelled."""
        await self._connections.run()

    async def list_tools(self) -> Sequence[Action]:
        """Return what it can do, and where."""
        return [
            replace(action, description=f"{action.description} Channels: {self._channels}"[:4_000])
            for action in _REPERTOIRE.actions
        ]

    async def call(self, action: str, params: Mapping[str, Any], timeout: float) -> Any:
        """Do it; what Slack puts off is done while there is time.

        Raises:
            ToolError: Slack refused, or cannot be reached, or the channel is not allowed.
        """
        wish = _REPERTOIRE.wish(action, params)
        client = AsyncWebClient(
            token=self._token,
            base_url=self._api_url,
            session=self._connections.http,
            retry_handlers=[],
        )
        try:
            return await wish.carry_out(Calls(client, self._channels, timeout))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ToolError("Slack's answer is not as it should be") from error
