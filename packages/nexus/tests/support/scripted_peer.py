"""Where tests get a server that answers as they say: it loses, holds or passes on answers."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2

DEADLINE_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a peer was asked."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a peer says; None in place of it cuts the connection."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Peer:
    """A server that answers as the test says, and keeps what it was asked."""

    def __init__(self, answer: Callable[[Request], Answer | None]) -> None:
        self.requests: list[Request] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                request = Request(
                    method=self.command,
                    path=self.path,
                    headers=dict(self.headers),
                    body=self.rfile.read(length),
                )
                peer.requests.append(request)
                said = answer(request)
                if said is None:
                    self.close_connection = True
                    return
                self._write(said)

            def _write(self, said: Answer) -> None:
                body = b"" if said.body is None else _bytes(said.body)
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = do_PATCH = _serve  # noqa: N815 - the library's names

            def log_message(self, format: str, *args: Any) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()
        self.url = f"http://localhost:{self._server.server_address[1]}"

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE_S)


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


@contextlib.contextmanager
def peer(answer: Callable[[Request], Answer | None]) -> Iterator[Peer]:
    """Run a peer until the block ends."""
    made = Peer(answer)
    try:
        yield made
    finally:
        made.close()


TOKEN = Answer(body={"access_token": "t", "token_type": "Bearer", "expires_in": 900})


def forwarding(url: str) -> Callable[[Request], Answer]:
    """Return the answer of a proxy: what ``url`` says to the same request."""

    def forward(request: Request) -> Answer:
        dropped = {"host", "content-length", "connection", "accept-encoding"}
        headers = {n: v for n, v in request.headers.items() if n.lower() not in dropped}
        got = httpx2.request(
            request.method, url + request.path, headers=headers, content=request.body, timeout=60
        )
        passed = {n: v for n, v in got.headers.items() if n.lower() not in dropped}
        return Answer(status=got.status_code, body=got.content, headers=passed)

    return forward
