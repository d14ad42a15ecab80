"""Where the built-in tool ``github`` lives: it does what agents ask, with Nexus's own token."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import gidgethub
from gidgethub.abc import GitHubAPI

from nexus.domain.tool_catalogue import Action
from nexus.tools.builtins._connections import Connections
from nexus.tools.builtins._github_limits import pause_after, told
from nexus.tools.builtins._github_wishes import WISHES
from nexus.tools.builtins._outcomes import unknown
from nexus.tools.builtins._reading import read_at_most
from nexus.tools.builtins._wishes import Repertoire
from nexus.tools.filling import Fill, as_they_are
from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode

NAME = "github"
_LARGEST_ANSWER = 8 * 1024 * 1024
_REPERTOIRE = Repertoire(NAME, WISHES)


class GitHub:
    """GitHub as a tool; what it may do is what its token may, within what rules allow."""

    def __init__(self, token: str, api_url: str, fill: Fill = as_they_are) -> None:
        self._token = token
        self._fill = fill
        self._api_url = api_url.rstrip("/")
        self._connections = Connections(NAME)

    async def run(self) -> None:
        """Keep connections to GitHub until cancelled."""
        await self._connections.run()

    async def list_tools(self) -> Sequence[Action]:
        """Return what it can do.

        Raises:
            ToolError: the settings name a secret that is not there.
        """
        await self._secret()
        return _REPERTOIRE.actions

    async def _secret(self) -> str:
        return (await self._fill({"token": self._token}))["token"]

    async def call(self, action: str, params: Mapping[str, Any], timeout: float) -> Any:
        """Do it; requests that GitHub puts off are made again while there is time.

        Raises:
            ToolError: GitHub refused, or cannot be reached.
        """
        wish = _REPERTOIRE.wish(action, params)
        http = self._connections.http
        github = _Api(http, self._api_url, await self._secret(), timeout)
        try:
            return await wish.carry_out(github)
        except gidgethub.GitHubException as error:
            raise told(error, time.time(), writes=github.has_written) from error
        except aiohttp.ClientConnectorError as error:
            raise ToolError("GitHub cannot be reached", ToolCode.TOOL_UNAVAILABLE) from error
        except aiohttp.ClientError as error:
            if github.has_written:
                raise unknown("the connection to GitHub was lost") from error
            raise ToolError("the connection to GitHub was lost; try again") from error
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ToolError("GitHub's answer is not as it should be") from error


class _Api(GitHubAPI):
    """The requests of one call."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str, seconds: float) -> None:
        super().__init__("oblivion-nexus", oauth_token=token, base_url=url)
        self._http = http
        self._until = time.monotonic() + seconds
        self.has_written = False

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> tuple[int, Mapping[str, str], bytes]:
        self.has_written = method != "GET"
        # Redirects are not followed: a rule for one repository must not reach another.
        async with self._http.request(
            method, url, headers=headers, data=body, allow_redirects=False
        ) as answer:
            return answer.status, answer.headers, await read_at_most(answer, _LARGEST_ANSWER)

    async def handle_rate_limit_error(
        self, *, method: str, url: str, exception: gidgethub.HTTPException, attempt: int
    ) -> bool:
        """Wait until GitHub takes the request, where that is soon enough; it did nothing so far."""
        pause = pause_after(exception, time.time())
        if pause is None or time.monotonic() + pause >= self._until:
            return False
        await self.sleep(pause)
        return True

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
