"""Where Slack's Web API is called, and what it refuses becomes what our worker understands."""

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from nexus.domain.slack_answers import Answer
from nexus.integrations.worker import Halted, Postponed, Undeliverable

TIMEOUT_S = 10


class Refused(Undeliverable):
    """Slack did not do what was asked; ``code`` is its word for why."""

    def __init__(self, method: str, code: str, hint: str = "") -> None:
        super().__init__(f"Slack refused {method}: {code}{hint}")
        self.code = code


@contextlib.contextmanager
def tolerated(codes: Collection[str]) -> Iterator[None]:
    """Pass over refusals that say that nothing is left to do."""
    try:
        yield
    except Refused as refusal:
        if refusal.code not in codes:
            raise


class SlackApi:
    """The Web API with a bot's token; every call ends within :data:`TIMEOUT_S` seconds."""

    def __init__(self, token: str, base_url: str) -> None:
        self._token = token
        self.base_url = base_url
        self._http: aiohttp.ClientSession | None = None
        self._closed_until: dict[str, float] = {}

    async def call(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        """Call a method by its name in ``slack_sdk`` (``chat_postMessage``); return its answer.

        Raises:
            Postponed: too many calls, Slack's own trouble, or no connection.
            Halted: the token is not good.
            Refused: anything else that Slack says no to.
        """
        self._respect_limit(method)
        client = AsyncWebClient(
            token=self._token,
            base_url=self.base_url,
            timeout=TIMEOUT_S,
            session=self._session(),
            retry_handlers=[],  # the worker tries again, and keeps the order while it waits
        )
        try:
            answer = await getattr(client, method)(**arguments)
        except SlackApiError as error:
            raise self._translated(method, error) from error
        except aiohttp.ClientConnectorError as error:
            raise Postponed(f"cannot reach Slack: {error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = str(error) or type(error).__name__
            raise Postponed(f"Slack did not answer {method}: {why}", unsure=True) from error
        data: Mapping[str, Any] = answer.data
        return data

    async def respond(self, url: str, text: str) -> None:
        """Answer whoever pressed a button, and nobody else; ``url`` came with the press.

        Raises:
            Postponed: no connection.
            Refused: it is half an hour ago, or the address was used up.
        """
        webhook = AsyncWebhookClient(url, session=self._session(), retry_handlers=[])
        try:
            answer = await webhook.send(
                text=text, response_type="ephemeral", replace_original=False
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Postponed(f"cannot reach Slack: {error}") from error
        if answer.status_code == 429 or answer.status_code >= 500:
            raise Postponed(f"Slack is in trouble: it answers {answer.status_code}")
        if answer.status_code != 200:
            raise Refused("response_url", str(answer.body)[:200])

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None or self._http.closed:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        return self._http

    def _respect_limit(self, method: str) -> None:
        left = self._closed_until.get(method, 0.0) - time.monotonic()
        if left > 0:
            why = f"Slack wants no {method} for another {left:.0f} s"
            raise Postponed(why, after_ms=int(left * 1000) + 1, counts=False)

    def _translated(self, method: str, error: SlackApiError) -> Exception:
        answer = Answer.of(error)
        if answer.pause_s is not None:
            return self._limited(method, answer.pause_s)
        if answer.is_shut_out:
            return Halted(f"Slack does not accept the token: {answer.code}")
        if answer.is_trouble:
            what = answer.code or f"an answer {answer.status} that is none"
            return Postponed(f"Slack is in trouble: {what} at {method}", unsure=True)
        hint = f" {answer.needed}; add it to the app and install it again" if answer.needed else ""
        return Refused(method, answer.code, hint)

    def _limited(self, method: str, wait: int) -> Postponed:
        """Close the method where its limit is the workspace's, not a channel's, as for messages."""
        if method != "chat_postMessage":
            self._closed_until[method] = time.monotonic() + wait
        why = f"Slack asks to wait {wait} s before the next {method}"
        return Postponed(why, after_ms=wait * 1000, counts=False)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._http is not None:
            await self._http.close()
