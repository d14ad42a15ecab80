"""Where tests get the clients that agents use: python-socketio's and the JavaScript one, alike.

What happened to a client stands in ``events`` as (name, data): ``connect``, ``connect_error`` with
``{message, data}``, ``disconnect``, ``ping``, and whatever the server sent.
"""

import asyncio
import contextlib
import functools
import itertools
import json
import logging
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Protocol, TypedDict, Unpack
from urllib.parse import urlencode

import aiohttp
import socketio

from npm_packages import fetched, node
from oblivion.protocol import NAMESPACE

DEADLINE_S = 15.0
CLIENTS = ("python", "javascript")
_JAVASCRIPT = "socket.io-client@4.8.1"
_DRIVER = Path(__file__).with_name("socketio_client.mjs")


class Log:
    """What happened to a client, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self._news = asyncio.Event()

    def note(self, name: str, data: Any = None) -> None:
        """Add what happened."""
        self.events.append((name, data))
        self._news.set()

    def named(self, name: str) -> list[Any]:
        """Return the data of everything of this name."""
        return [data for event, data in self.events if event == name]

    async def until(self, name: str, count: int = 1) -> Any:
        """Return the data of the ``count``-th event of this name, once it is there."""
        async with asyncio.timeout(DEADLINE_S):
            while len(self.named(name)) < count:
                self._news.clear()
                await self._news.wait()
        return self.named(name)[count - 1]


class Options(TypedDict, total=False):
    """How a client connects; without them to the agents' namespace, and once."""

    auth: Any
    query: dict[str, str] | None
    namespace: str
    reconnects: bool


_PLAIN: Options = {"auth": None, "query": None, "namespace": NAMESPACE, "reconnects": False}


class Client(Protocol):
    """What a test does with a client."""

    log: Log

    async def connect(self, url: str, **options: Unpack[Options]) -> None:
        """Begin to connect; the log tells how it went."""
        ...

    async def call(self, name: str, data: Any) -> Any:
        """Send an event and return its acknowledgement."""
        ...

    async def emit(self, name: str, data: Any) -> None:
        """Send an event that wants no acknowledgement."""
        ...

    async def emit_blob(self, name: str) -> None:
        """Send a binary event."""
        ...

    async def disconnect(self) -> None:
        """Disconnect."""
        ...


class PythonClient:
    """python-socketio's client."""

    def __init__(self) -> None:
        self.log = Log()
        self._namespace = NAMESPACE
        self._client: Any = None
        self._http = aiohttp.ClientSession()

    async def connect(self, url: str, **options: Unpack[Options]) -> None:
        """Begin to connect."""
        wish: Options = {**_PLAIN, **options}
        query, namespace = wish["query"], wish["namespace"]
        self._client = socketio.AsyncClient(
            reconnection=wish["reconnects"],
            reconnection_delay=0.05,
            reconnection_delay_max=0.1,
            engineio_logger=_pings(self.log),
            http_session=self._http,
        )
        for name in ("connect", "connect_error", "disconnect"):
            self._client.on(name, functools.partial(self._note, name), namespace=namespace)
        self._client.on("*", self._note, namespace=namespace)
        address = url + (f"?{urlencode(query)}" if query else "")
        self._namespace = namespace
        await self._client.connect(
            address,
            auth=wish["auth"],
            transports=["websocket"],
            namespaces=[namespace],
            wait=False,
        )

    def _note(self, name: str, data: Any = None) -> None:
        if name == "connect_error" and isinstance(data, str):
            data = {"message": data}
        self.log.note(name, data)

    async def call(self, name: str, data: Any) -> Any:
        """Send an event and return its acknowledgement."""
        return await self._client.call(name, data, namespace=self._namespace, timeout=DEADLINE_S)

    async def emit(self, name: str, data: Any) -> None:
        """Send an event that wants no acknowledgement."""
        await self._client.emit(name, data, namespace=self._namespace)

    async def emit_blob(self, name: str) -> None:
        """Send a binary event."""
        await self.emit(name, b"\x01\x02\x03")

    async def disconnect(self) -> None:
        """Disconnect."""
        await self._client.disconnect()

    async def close(self) -> None:
        """Disconnect, and end what the libraries began."""
        try:
            if self._client is not None:
                await self._client.shutdown()
        finally:
            await self._http.close()


class _Pings(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("Received packet PING"):
            self._log.note("ping")


def _pings(log: Log) -> logging.Logger:
    logger = logging.Logger("pings", level=logging.INFO)  # noqa: LOG001 - seen by nobody else
    logger.addHandler(_Pings(log))
    return logger


class JavaScriptClient:
    """socket.io-client in node; both come by their package managers."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.log = Log()
        self._process = process
        self._numbers = itertools.count()
        self._acks: dict[int, asyncio.Future[Any]] = {}

    async def listen(self) -> None:
        """Take in what the client says until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            name, data = json.loads(line)
            if name == "ack":
                self._acks.pop(data["number"]).set_result(data.get("answer"))
            else:
                self.log.note(name, data)

    async def connect(self, url: str, **options: Unpack[Options]) -> None:
        """Begin to connect."""
        wish: Options = {**_PLAIN, **options}
        told = {
            "auth": wish["auth"],
            "query": wish["query"],
            "reconnection": wish["reconnects"],
            "reconnectionDelay": 50,
            "reconnectionDelayMax": 100,
        }
        self._say("connect", url=url + wish["namespace"], options=told)

    async def call(self, name: str, data: Any) -> Any:
        """Send an event and return its acknowledgement."""
        number = next(self._numbers)
        self._acks[number] = asyncio.get_running_loop().create_future()
        self._say("call", name=name, data=data, number=number)
        async with asyncio.timeout(DEADLINE_S):
            return await self._acks[number]

    async def emit(self, name: str, data: Any) -> None:
        """Send an event that wants no acknowledgement."""
        self._say("emit", name=name, data=data)

    async def emit_blob(self, name: str) -> None:
        """Send a binary event."""
        self._say("blob", name=name)

    async def disconnect(self) -> None:
        """Disconnect."""
        self._say("disconnect")

    def _say(self, what: str, **more: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **more}).encode() + b"\n")


@contextlib.asynccontextmanager
async def socketio_client(kind: str) -> AsyncIterator[Client]:
    """Make a client of a kind, and end it with the block."""
    if kind == "python":
        client = PythonClient()
        try:
            yield client
        finally:
            await client.close()
        return
    process = await asyncio.create_subprocess_exec(
        node(),
        _DRIVER,
        str(await asyncio.to_thread(fetched, _JAVASCRIPT) / "x.js"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        limit=2**22,
    )
    other = JavaScriptClient(process)
    listening = asyncio.create_task(other.listen())
    try:
        yield other
    finally:
        process.kill()
        await process.wait()
        await listening


OfKind = Callable[[str], contextlib.AbstractAsyncContextManager[Client]]
