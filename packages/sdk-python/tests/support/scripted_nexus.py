"""Where the tests' own Nexus lives: a real server on a free port that does what a test says.

It speaks the protocol by default (token, greeting, ``agent_ready``, acknowledgements) and can be
told to answer otherwise, to fall silent, to cut connections, and to send anything at all.
"""

import asyncio
import inspect
import itertools
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import socketio
from aiohttp import web

from oblivion import OblivionClient

MakeClient = Callable[..., OblivionClient]
"""What the fixture ``make_client`` is: options of a client in, the client out."""

PATIENCE = 10.0
"""Seconds that a test waits for something that should happen at once."""

SILENCE = object()
"""An answer to a call that never comes."""


@dataclass
class Call:
    """One event that an agent sent."""

    sid: str
    type: str
    envelope: dict[str, Any]

    @property
    def payload(self) -> dict[str, Any]:
        payload: dict[str, Any] = self.envelope["payload"]
        return payload

    @property
    def id(self) -> str | None:
        return self.envelope.get("id")


@dataclass
class TokenAnswer:
    """What the token endpoint says."""

    status: int = 200
    body: Any = field(
        default_factory=lambda: {
            "access_token": f"token-{uuid.uuid4()}",
            "token_type": "Bearer",
            "expires_in": 900,
        }
    )


class ScriptedNexus:
    """One server; ``calls`` holds everything that agents sent, in order."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.token_requests: list[dict[str, str]] = []
        self.token_answers: list[TokenAnswer] = []
        self.tokens: list[str | None] = []
        self.refusals: list[dict[str, Any]] = []
        self.sids: list[str] = []
        self.heartbeat_interval_ms = 30_000
        self.epoch = "epoch-1"
        self.lost: list[str] = []
        self.greets = True
        self.greeting_changes: dict[str, Any] = {}
        self.answers: dict[str, Callable[[Call], Any]] = {}
        self.http_answers: dict[str, Callable[[web.Request], Any]] = {}
        self.port = 0
        self._seqs = itertools.count(1)
        self._read: dict[str, int] = {}
        self._arrival = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self._sio: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sid(self) -> str:
        """The newest connection."""
        return self.sids[-1]

    async def start(self) -> None:
        """Listen, on the port of before if there was one."""
        self._sio = socketio.AsyncServer(
            async_mode="aiohttp", namespaces=["/agents"], max_http_buffer_size=256 * 1024
        )
        self._sio.on("connect", self._on_connect, namespace="/agents")
        self._sio.on("*", self._on_event, namespace="/agents")
        app = web.Application()
        app.router.add_post("/auth/token", self._token)
        app.router.add_route("*", "/auth/{tail:.*}", self._http)
        app.router.add_get("/tasks/{tail:.*}", self._http)
        app.router.add_get("/tools", self._http)
        self._sio.attach(app)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        if self._runner is None:
            return
        await self._sio.shutdown()
        for sid in self.sids:
            await self.cut(sid)
        await self._runner.cleanup()
        self._runner = None

    async def cut(self, sid: str | None = None) -> None:
        """Close a connection, the newest by default, without a word."""
        eio_sid = self._sio.manager.eio_sid_from_sid(sid or self.sid, "/agents")
        if eio_sid is not None:
            await self._sio.eio.disconnect(eio_sid)

    async def throw_out(self) -> None:
        """Disconnect the newest connection the way Socket.IO does."""
        await self._sio.disconnect(self.sid, namespace="/agents")

    async def send(
        self, type_: str, payload: dict[str, Any], *, seq: int | None = None, id_: str | None = None
    ) -> dict[str, Any]:
        """Send a durable event to the newest connection; return its envelope."""
        envelope = {
            "type": type_,
            "payload": payload,
            "timestamp": now(),
            "id": id_ or str(uuid.uuid4()),
            "seq": seq if seq is not None else next(self._seqs),
        }
        await self.send_raw(type_, envelope)
        return envelope

    async def hint(self, type_: str, payload: dict[str, Any]) -> None:
        """Send an event that is not durable."""
        await self.send_raw(type_, {"type": type_, "payload": payload, "timestamp": now()})

    async def send_raw(self, type_: str, data: Any) -> None:
        """Send anything under an event name."""
        await self._sio.emit(type_, data, to=self.sid, namespace="/agents")

    async def assign(self, task_id: str, **changes: Any) -> dict[str, Any]:
        """Send ``task_assigned``."""
        return await self.send("task_assigned", task(task_id, **changes))

    async def next(self, type_: str, *, patience: float = PATIENCE) -> Call:
        """Return the first call of a type that no one asked for yet, waiting for it."""
        wanted = self._read.get(type_, 0)
        self._read[type_] = wanted + 1
        async with asyncio.timeout(patience), self._arrival:
            while len(self.of(type_)) <= wanted:
                await self._arrival.wait()
        return self.of(type_)[wanted]

    async def acknowledged(self, *seqs: int) -> None:
        """Wait until all of these numbers were acknowledged."""
        await self.until(lambda: set(seqs) <= set(self.acked))

    async def until(self, condition: Callable[[], bool], *, patience: float = PATIENCE) -> None:
        """Wait until a condition holds, looking after every call."""
        async with asyncio.timeout(patience), self._arrival:
            while not condition():
                await self._arrival.wait()

    @property
    def acked(self) -> list[int]:
        """Every number that was acknowledged, in order of arrival."""
        return [seq for call in self.of("event_ack") for seq in call.payload["seqs"]]

    def of(self, type_: str) -> list[Call]:
        """Return the calls of one type."""
        return [call for call in self.calls if call.type == type_]

    async def _on_connect(self, sid: str, _environ: Any, auth: Any = None) -> None:
        self.tokens.append((auth or {}).get("token"))
        if self.refusals:
            refusal = self.refusals.pop(0)
            raise socketio.exceptions.ConnectionRefusedError(refusal["message"], refusal)
        self.sids.append(sid)
        await self._notify()
        if self.greets:
            asyncio.get_running_loop().call_soon(
                lambda: asyncio.ensure_future(self.send_raw("connected", self._greeting(sid)))
            )

    def _greeting(self, sid: str) -> dict[str, Any]:
        return {
            "message": "hello",
            "agentId": "agent-1",
            "sessionId": sid,
            "serverTime": now(),
            "heartbeatIntervalMs": self.heartbeat_interval_ms,
            "protocol": 1,
            "epoch": self.epoch,
            **self.greeting_changes,
        }

    async def _on_event(self, event: str, sid: str, envelope: Any) -> Any:
        call = Call(sid, event, envelope)
        self.calls.append(call)
        await self._notify()
        answer = self.answers.get(event, self._default_answer)(call)
        if answer is SILENCE:
            await asyncio.Event().wait()
        return await answer if inspect.isawaitable(answer) else answer

    async def _notify(self) -> None:
        async with self._arrival:
            self._arrival.notify_all()

    def _default_answer(self, call: Call) -> Any:
        if call.type == "agent_ready":
            return {"acknowledged": True, "epoch": self.epoch, "headSeq": 0, "lost": self.lost}
        answer = _ANSWERS.get(call.type)
        return {"acknowledged": True} if answer is None else answer(call.payload)

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.token_requests.append({key: str(value) for key, value in form.items()})
        answer = self.token_answers.pop(0) if self.token_answers else TokenAnswer()
        await self._notify()
        return web.json_response(answer.body, status=answer.status)

    async def _http(self, request: web.Request) -> Any:
        answer = self.http_answers.get(request.path)
        if answer is None:
            return web.json_response({}, status=404)
        answered = answer(request)
        return await answered if inspect.isawaitable(answered) else answered


def refused(code: str, *, retryable: bool = False, message: str = "no") -> dict[str, Any]:
    """Return the acknowledgement of a refused call."""
    return {"error": {"code": code, "message": message, "retryable": retryable}}


def now() -> str:
    """Return this moment as the wire writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def envelope_of(type_: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Return an envelope without an id."""
    return {"type": type_, "payload": payload, "timestamp": now()}


def task(task_id: str, **changes: Any) -> dict[str, Any]:
    """Return the payload of ``task_assigned``."""
    return {
        "taskId": task_id,
        "title": "Fix bug",
        "description": "",
        "priority": 3,
        "projectId": "project-1",
        "projectName": "Backend",
        "groupId": "group-1",
        "groupName": "Team",
        "requiredCapabilities": [],
        "source": "nexus",
        "attempt": 1,
        "maxAttempts": 3,
        "leaseExpiresAt": now(),
        "assignedAt": now(),
        "createdAt": now(),
        "metadata": {},
        **changes,
    }


_ANSWERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "heartbeat": lambda _said: envelope_of("heartbeat", {"pong": True, "serverTime": now()}),
    "claim_task": lambda said: {"taskId": said["taskId"], "success": True, "claimedAt": now()},
    "post_message": lambda _said: {"ok": True, "messageTs": "100.000001"},
    "tool_request": lambda _said: {"accepted": True},
    "event_ack": lambda _said: None,
}


@asynccontextmanager
async def scripted_nexus() -> AsyncIterator[ScriptedNexus]:
    """Run a scripted Nexus for the body."""
    nexus = ScriptedNexus()
    await nexus.start()
    try:
        yield nexus
    finally:
        await nexus.stop()
