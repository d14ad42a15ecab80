"""Where deliveries go over HTTP: signed, and measured.

https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

import asyncio
import hashlib
import hmac
import json
import time
from dataclasses import replace
from enum import StrEnum
from urllib.parse import urlencode

import aiohttp

from nexus.testing.slack._deliveries import Answer, Delivery
from nexus.testing.slack._limits import Rules
from nexus.testing.slack._messages import Json
from nexus.testing.slack._time import Time
from nexus.testing.slack._users import App

SIDE_BY_SIDE = 64
"""Requests under way at once; the others wait, and their time is not counted."""
_TOO_OLD_S = 301


class Seal(StrEnum):
    """How a request is signed."""

    GOOD = "good"
    FORGED = "forged"
    OLD = "old"
    """Rightly signed, more than five minutes ago."""
    MISSING = "missing"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return ``v0=...`` for a body that is sent at a time."""
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


class HttpCourier:
    """Posts events to one address and interactions to another, or to the same."""

    def __init__(self, app: App, clock: Time, rules: Rules, http: aiohttp.ClientSession) -> None:
        self.events_url = ""
        self.interactions_url = ""
        self._app = app
        self._time = clock
        self._timeout = aiohttp.ClientTimeout(total=rules.answer_within_s)
        self._http = http
        self._places = asyncio.Semaphore(SIDE_BY_SIDE)

    async def carry(self, delivery: Delivery, number: int, reason: str | None) -> Answer:
        """Post it; a retry says so in its headers."""
        again = {}
        if number:
            again = {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": reason or ""}
        if delivery.kind == "interaction":
            return await self.send_interaction(delivery.payload)
        return await self.send_event(delivery.payload, again=again)

    async def send_event(
        self, payload: Json | bytes, seal: Seal = Seal.GOOD, again: dict[str, str] | None = None
    ) -> Answer:
        """Post an event, or any bytes in its place."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        headers = self._sealed(body, seal) | {"Content-Type": "application/json"}
        return await self.post(self.events_url, body, headers | (again or {}))

    async def send_interaction(self, payload: Json, seal: Seal = Seal.GOOD) -> Answer:
        """Post an interaction: JSON in the form field ``payload``."""
        body = urlencode({"payload": json.dumps(payload)}).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.post(self.interactions_url, body, self._sealed(body, seal) | kind)

    def _sealed(self, body: bytes, seal: Seal) -> dict[str, str]:
        if seal is Seal.MISSING:
            return {}
        at_s = self._time.now() // 1000 - (_TOO_OLD_S if seal is Seal.OLD else 0)
        secret = self._app.signing_secret if seal is not Seal.FORGED else "not the secret"
        return {
            "X-Slack-Request-Timestamp": str(at_s),
            "X-Slack-Signature": signature(secret, str(at_s), body),
        }

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Post bytes under headers, and tell what came of it."""
        async with self._places:
            began = time.perf_counter()
            answer = await self._answer(url, body, headers)
            took_ms = (time.perf_counter() - began) * 1000
        return replace(answer, took_ms=took_ms, sent_headers=headers, sent_body=body)

    async def _answer(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        asked = self._http.post(url, data=body, headers=headers, timeout=self._timeout)
        try:
            async with asked as answer:
                return Answer(
                    failure=None if answer.ok else "http_error",
                    status=answer.status,
                    body=await answer.text(),
                    no_retry="X-Slack-No-Retry" in answer.headers,
                )
        except TimeoutError:
            return Answer(failure="http_timeout")
        except aiohttp.ClientError:
            return Answer(failure="connection_failed")
