"""Where HTTP load comes from: keep-alive connections that do nothing but POST.

By hand, because httpx2 takes about a millisecond a request, more than the server that is measured.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

_RETRY_S = 0.05
HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back; a lost connection answers with status 0."""

    status: int
    body: bytes

    def checked(self) -> bytes:
        """Return the body.

        Raises:
            RuntimeError: the answer is not 2xx.
        """
        if not 200 <= self.status < 300:
            raise RuntimeError(f"HTTP {self.status}: {self.body.decode()}")
        return self.body


Answered = Callable[[Answer], object]
LOST = Answer(status=0, body=b"the connection was lost before the answer came")


def request(url: str, path: str, body: Mapping[str, object], **headers: str) -> bytes:
    """Return a POST of JSON, ready to be written; ``_`` in a header's name stands for ``-``."""
    content = json.dumps(body).encode()
    head = {
        "Host": urlsplit(url).netloc,
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


class _Connection(asyncio.Protocol):
    """One connection; at most one request is under way."""

    def __init__(
        self, idle: Callable[["_Connection"], None], lost: Callable[["_Connection"], None]
    ) -> None:
        self._idle = idle
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._answered: Answered | None = None
        self._received = b""

    @property
    def alive(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, prepared: bytes, answered: Answered) -> None:
        """Send a request; ``answered`` is called with what comes back."""
        assert self._transport is not None
        self._answered = answered
        self._transport.write(prepared)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one only in shape

    def data_received(self, data: bytes) -> None:
        """Read until an answer is whole."""
        self._received += data
        answer = _whole_answer(self._received)
        if answer is not None:
            self._received = b""
            answered, self._answered = self._answered, None
            self._idle(self)
            if answered is not None:
                answered(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """End, which is an answer too."""
        self._lost(self)
        if self._answered is not None:
            self._answered(LOST)


def _whole_answer(received: bytes) -> Answer | None:
    head, end, body = received.partition(HEAD_END)
    if not end:
        return None
    _, _, length = head.lower().partition(b"content-length:")
    if len(body) < int(length.split(b"\r\n", 1)[0]):
        return None
    return Answer(status=int(head[9:12]), body=body)


class Connections:
    """A few keep-alive connections to one server; a request waits for a free one.

    One that the server closed, as servers do with what was idle for a while, is opened again when
    it is needed.
    """

    def __init__(self, url: str, count: int) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80
        self._closed_ones = count
        self._idle: list[_Connection] = []
        self._waiting: deque[tuple[bytes, Answered]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def free(self) -> int:
        """How many requests could be under way beside those that are."""
        return len(self._idle) + self._closed_ones - len(self._waiting)

    async def open(self) -> None:
        """Open all connections."""
        while self._closed_ones:
            self._closed_ones -= 1
            await self._open()

    def send(self, prepared: bytes, answered: Answered) -> None:
        """Send a prepared request as soon as a connection is free."""
        while self._idle:
            connection = self._idle.pop()
            if connection.alive:
                connection.ask(prepared, answered)
                return
        self._waiting.append((prepared, answered))
        self._open_another()

    async def post(self, prepared: bytes) -> bytes:
        """Send a prepared request and return the body of its answer.

        Raises:
            RuntimeError: the answer is not 2xx.
        """
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def take(answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        self.send(prepared, take)
        return (await answered).checked()

    async def flood(self, prepared: Iterable[bytes]) -> list[bytes]:
        """Send all requests, each connection the next one as soon as it is free."""
        return await asyncio.gather(*(self.post(one) for one in prepared))

    def close(self) -> None:
        """Close all connections; nobody may be posting."""
        for task in self._tasks:
            task.cancel()
        for connection in list(self._idle):
            connection.close()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: _Connection(self._is_idle, self._was_lost), self._host, self._port
        )
        self._is_idle(connection)

    def _open_another(self) -> None:
        if self._waiting and self._closed_ones:
            self._closed_ones -= 1
            task = asyncio.create_task(self._reopen())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _reopen(self) -> None:
        while True:
            try:
                return await self._open()
            except OSError:
                await asyncio.sleep(_RETRY_S)

    def _is_idle(self, connection: _Connection) -> None:
        if self._waiting:
            connection.ask(*self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _was_lost(self, connection: _Connection) -> None:
        self._closed_ones += 1
        if connection in self._idle:
            self._idle.remove(connection)
        self._open_another()


@contextlib.asynccontextmanager
async def connections(url: str, count: int) -> AsyncIterator[Connections]:
    """Open connections until the block ends."""
    opened = Connections(url, count)
    try:
        await opened.open()
        yield opened
    finally:
        opened.close()
