"""Where a host's name becomes addresses: once, each of them judged, and kept to."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host, in their numeric form."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system for the addresses of a host.

    Raises:
        OSError: there are none.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def checked_addresses(
    host: str, port: int, resolve: Resolve, takes: Callable[[str], bool]
) -> Sequence[str]:
    """Return all addresses of a host; one that is not taken spoils the others.

    Raises:
        ToolError: there is none, or one is not taken.
    """
    try:
        addresses = await resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise ToolError(f"the host {host} cannot be found", ToolCode.TOOL_UNAVAILABLE) from error
    if not addresses:
        raise ToolError(f"the host {host} has no address", ToolCode.TOOL_UNAVAILABLE)
    if not all(map(takes, addresses)):
        said = f"the host {host} has an address that no request may go to; an admin can look why"
        raise ToolError(said, ToolCode.NOT_ALLOWED)
    return addresses


def pinned(addresses: Sequence[str], tls: ssl.SSLContext) -> aiohttp.TCPConnector:
    """Return what connects to these addresses alone, whatever the name says by then.

    The name stays what the certificate is held against, and what the host is told.
    """
    return aiohttp.TCPConnector(
        resolver=_Known(addresses), use_dns_cache=False, force_close=True, ssl=tls
    )


class _Known(AbstractResolver):
    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""
