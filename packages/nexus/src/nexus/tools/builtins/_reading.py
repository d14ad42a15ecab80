"""Where answers of other services are read: only so much of them as is taken."""

import zlib
from collections.abc import Callable

import aiohttp

from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode

_GZIP = 16 + zlib.MAX_WBITS


async def read_at_most(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the body of an answer.

    Raises:
        ToolError: it is larger than ``most`` bytes; the rest is not read.
    """
    return await _read(response, most, lambda chunk, _: chunk)


async def unpack_at_most(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the body of an answer that aiohttp has left packed.

    Raises:
        ToolError: it is larger than ``most`` bytes, packed or not, the rest of which is neither
            read nor unpacked; or it is packed in another way than gzip's.
    """
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    if packing == "identity":
        return await read_at_most(response, most)
    if packing not in {"gzip", "x-gzip"}:
        raise ToolError(f"the answer is packed as {packing[:40]!r}", ToolCode.RESULT_REFUSED)
    gzip = zlib.decompressobj(_GZIP)
    try:
        body = await _read(response, most, gzip.decompress)
    except zlib.error as error:
        raise _damaged() from error
    if body and (not gzip.eof or gzip.unused_data):
        raise _damaged()
    return body


def _damaged() -> ToolError:
    return ToolError("the answer says that it is gzip's, and is not", ToolCode.RESULT_REFUSED)


async def _read(
    response: aiohttp.ClientResponse, most: int, unpack: Callable[[bytes, int], bytes]
) -> bytes:
    body = bytearray()
    read = 0
    async for chunk in response.content.iter_any():
        read += len(chunk)
        body += unpack(chunk, most + 1 - len(body))
        if max(read, len(body)) > most:
            response.close()
            error = f"the answer is larger than {most} bytes, which is the most that is taken"
            raise ToolError(error, ToolCode.RESULT_TOO_LARGE)
    return bytes(body)
