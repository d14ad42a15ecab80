"""Where the built-in tool ``http`` lives: requests to hosts that were configured, and to no other.

An agent may ask for any address, so nothing about it is believed: it is read once, its host has to
stand in the settings, that host's name is resolved once, every address of it is judged, and the
connection is made to just these. Redirects are handed back and not followed, for a rule that allows
one address must not reach another.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import aiohttp
import orjson
from yarl import URL

from nexus.domain.http_hosts import HttpHost, Method, Origin, is_header_value, split_url
from nexus.domain.tool_catalogue import Action
from nexus.tools.builtins import _pinning
from nexus.tools.builtins._http_answers import binary, content, headers_shown, is_text
from nexus.tools.builtins._http_wishes import WISHES
from nexus.tools.builtins._outcomes import unknown
from nexus.tools.builtins._pinning import Resolve, checked_addresses, pinned
from nexus.tools.builtins._reading import unpack_at_most
from nexus.tools.builtins._wishes import Repertoire
from nexus.tools.filling import Fill, as_they_are
from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode

NAME = "http"
_REPERTOIRE = Repertoire(NAME, WISHES)
_SAFE = frozenset({"GET", "HEAD"})
_OURS = {"user-agent": "oblivion-nexus", "accept-encoding": "gzip"}
_PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=10)
"""The call's own time bounds the rest."""
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"


class Http:
    """Requests over HTTP as a tool; ``hosts`` are those that they may go to, by their addresses."""

    def __init__(
        self,
        hosts: Mapping[str, HttpHost],
        *,
        fill: Fill = as_they_are,
        resolve: Resolve = _pinning.resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._hosts = dict(hosts)
        self._fill = fill
        self._resolve = resolve
        self._tls = tls or ssl.create_default_context()

    async def run(self) -> None:
        """Hold nothing: each call has a connection of its own."""
        await asyncio.Event().wait()

    async def list_tools(self) -> Sequence[Action]:
        """Return what it can do, and where."""
        return [self._placed(action) for action in _REPERTOIRE.actions if self._where(action)]

    def _placed(self, action: Action) -> Action:
        description = f"{action.description} Hosts: {', '.join(self._where(action))}"
        return replace(action, description=description[:4_000])

    def _where(self, action: Action) -> list[str]:
        method = action.action.upper()
        return [name for name, host in self._hosts.items() if method in host.methods]

    async def call(self, action: str, params: Mapping[str, Any], timeout: float) -> Any:
        """Send a request, and return the answer, whatever its status.

        Raises:
            ToolError: it may not be sent, or there is no answer that can be handed on.
        """
        wish = _REPERTOIRE.wish(action, params)
        try:
            async with asyncio.timeout(timeout):
                return await wish.carry_out(self)
        except TimeoutError as error:
            said = f"there was no answer within {timeout:g} s"
            raise ToolError(said, ToolCode.TIMED_OUT) from error

    async def send(
        self, method: Method, url: str, headers: Mapping[str, str], body: Any = None
    ) -> Any:
        """Send a request to the host that its address names, if that is one of ours."""
        origin, target = split_url(url)
        host = self._host(origin, method)
        twice = host.headers.keys() & headers.keys()
        if twice:
            said = f"headers: {min(twice)} is set by an admin for {origin}"
            raise ToolError(said, ToolCode.INVALID_PARAMS)
        kind, data = _encoded(body)
        sent = {**_OURS, **kind, **headers, **await self._configured(host)}
        addresses = await self._addresses(origin, host)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=pinned(addresses, self._tls),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    timeout=_PATIENCE,
                    auto_decompress=False,
                    skip_auto_headers=("content-type",),
                ) as http,
                http.request(
                    method,
                    URL(f"{origin}{target}", encoded=True),
                    headers=sent,
                    data=data,
                    allow_redirects=False,
                ) as answer,
            ):
                return await _read(answer, method, host.max_bytes)
        except aiohttp.ClientError as error:
            raise _failure(error, origin, method) from error

    def _host(self, origin: Origin, method: Method) -> HttpHost:
        host = self._hosts.get(str(origin))
        if host is None:
            known = ", ".join(self._hosts)
            said = f"{origin} is not among the hosts that requests may go to; these are: {known}"
            raise ToolError(said, ToolCode.NOT_ALLOWED)
        if method not in host.methods:
            said = f"{origin} may not be sent {method}; an admin can allow it"
            raise ToolError(said, ToolCode.NOT_ALLOWED)
        return host

    async def _configured(self, host: HttpHost) -> Mapping[str, str]:
        filled = await self._fill(host.headers)
        for name, value in filled.items():
            if not is_header_value(value):
                said = f"the secret in the header {name} cannot be sent: it is not one line of text"
                raise ToolError(said, ToolCode.TOOL_UNAVAILABLE)
        return filled

    async def _addresses(self, origin: Origin, host: HttpHost) -> Sequence[str]:
        async def itself(address: str, _: int) -> Sequence[str]:
            return [address]

        resolve = itself if origin.is_address else self._resolve
        return await checked_addresses(origin.host, origin.port, resolve, host.takes)


def _encoded(body: Any) -> tuple[dict[str, str], bytes | None]:
    if body is None:
        return {}, None
    if isinstance(body, str):
        return {"content-type": _TEXT}, body.encode()
    return {"content-type": _JSON}, orjson.dumps(body)


async def _read(answer: aiohttp.ClientResponse, method: Method, most: int) -> dict[str, Any]:
    shown = {"status": answer.status, "headers": headers_shown(answer.headers)}
    kind = answer.content_type if "content-type" in answer.headers else ""
    try:
        body = b"" if method == "HEAD" else await unpack_at_most(answer, most)
        if body and not is_text(kind):
            raise binary(kind)
        return {**shown, "body": content(kind, answer.charset, body)} if body else shown
    except ToolError as error:
        said = f"{method} was answered with {answer.status}, but {error.message}"
        raise ToolError(said, error.code) from error


def _failure(error: aiohttp.ClientError, origin: Origin, method: Method) -> ToolError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        said = f"the certificate of {origin} is not good: {error.certificate_error}"
        return ToolError(said, ToolCode.TOOL_UNAVAILABLE)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return ToolError(f"{origin} cannot be reached", ToolCode.TOOL_UNAVAILABLE)
    if method in _SAFE:
        return ToolError(f"the connection to {origin} was lost, or its answer is no HTTP")
    return unknown(f"the connection to {origin} was lost, or its answer is no HTTP")
