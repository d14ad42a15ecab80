"""Where tests get an app that Slack talks to: it checks signatures with slack_sdk and keeps all."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web
from slack_sdk.signature import Clock, SignatureVerifier

from nexus.testing.slack import SlackServer

Json = dict[str, Any]


class _SlacksClock(Clock):
    def __init__(self, slack: SlackServer) -> None:
        self._slack = slack

    def now(self) -> float:
        return self._slack.time.now() / 1000


@dataclass
class ListeningApp:
    """What arrived; ``statuses`` are what it answers first, before it begins to say 200."""

    url: str = ""
    verifier: SignatureVerifier | None = None
    events: list[Json] = field(default_factory=list)
    interactions: list[Json] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    answer_headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    handshake: int = 200

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        assert self.verifier is not None
        if not self._is_signed(body, dict(request.headers)):
            return web.Response(status=401)
        if b"url_verification" in body:
            challenge = {"challenge": json.loads(body)["challenge"]}
            return web.json_response(challenge, status=self.handshake)
        self.headers.append(dict(request.headers))
        self.bodies.append(body)
        if self.silent:
            await asyncio.Event().wait()
        if self.statuses:
            return web.Response(status=self.statuses.pop(0), headers=self.answer_headers)
        self._keep(request.content_type, body)
        return web.Response()

    def _is_signed(self, body: bytes, headers: dict[str, str]) -> bool:
        assert self.verifier is not None
        return self.verifier.is_valid_request(body, headers)

    def _keep(self, content_type: str, body: bytes) -> None:
        if content_type == "application/json":
            self.events.append(json.loads(body))
        else:
            self.interactions.append(json.loads(parse_qs(body.decode())["payload"][0]))

    def told(self, kind: str) -> list[Json]:
        """Return the events of a type without their envelopes, in the order they happened in.

        They may arrive in another one, for Slack sends them side by side.
        """
        events = [one["event"] for one in self.events if one["event"]["type"] == kind]
        return sorted(events, key=lambda event: str(event["event_ts"]))


@contextlib.asynccontextmanager
async def listening_app(slack: SlackServer) -> AsyncIterator[ListeningApp]:
    """Serve an app that Slack delivers to, until the block ends."""
    app = ListeningApp(verifier=SignatureVerifier(slack.app.signing_secret, _SlacksClock(slack)))
    door = web.Application()
    door.router.add_post("/slack", app.handle)
    runner = web.AppRunner(door, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    app.url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack"
    try:
        await slack.send_events_to(app.url)
        yield app
    finally:
        await runner.cleanup()
