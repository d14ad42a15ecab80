"""Where MCP servers are reached over Streamable HTTP, in bounded memory whatever they answer."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client import Transport
from mcp.client.streamable_http import streamable_http_client

from nexus.tools.answers import TOO_LARGE
from nexus.tools.lines import LONGEST

_CONNECT_S = 10.0
_READ_S = 3700.0
"""Longer than any call may take, for an answer may come as late as that."""


@asynccontextmanager
async def reach(url: str, headers: Mapping[str, str]) -> AsyncIterator[Transport]:
    """Yield the transport to the server at ``url``; ``headers`` go with each request."""
    timeout = httpx2.Timeout(_CONNECT_S, read=_READ_S)
    # Plainly, for a few bytes could unfold to any number.
    plain = {**headers, "Accept-Encoding": "identity"}
    async with _Client(headers=plain, timeout=timeout) as client:
        yield streamable_http_client(url, http_client=client, max_sse_event_size=LONGEST)


class _Client(httpx2.AsyncClient):
    """Takes no more of an answer than fits, and hears nothing but answers."""

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        if request.method == "GET" and "last-event-id" not in request.headers:
            # A server's own messages: Nexus looks by itself, every few seconds.
            return httpx2.Response(405, request=request)
        response = await super().send(request, **how)
        stream = response.stream
        if isinstance(stream, httpx2.AsyncByteStream):
            response.stream = _Bounded(stream, response.headers)
        return response


class _Bounded(httpx2.AsyncByteStream):
    """The body of an answer, up to its bound."""

    def __init__(self, stream: httpx2.AsyncByteStream, headers: httpx2.Headers) -> None:
        self._stream = stream
        self._left = LONGEST
        self._is_packed = headers.get("content-encoding", "identity") != "identity"
        is_events = headers.get("content-type", "").startswith("text/event-stream")
        # Each is what the SDK tells the one call of, and no other.
        self._error = httpx2.SSEError if is_events else httpx2.StreamError

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._is_packed:
            raise self._error("the MCP server's answer is packed, though it was asked not to be")
        async for chunk in self._stream:
            self._left -= len(chunk)
            if self._left < 0:
                raise self._error(TOO_LARGE)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
