"""Where answers of other services are read: only so much of them as is taken."""

import aiohttp

from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode


async def read_at_most(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the body of an answer.

    Raises:
        ToolError: it is larger than ``most`` bytes; the rest is not read.
    """
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > most:
            response.close()
            error = f"the answer is larger than {most} bytes, which is the most that is taken"
            raise ToolError(error, ToolCode.RESULT_TOO_LARGE)
    return bytes(body)
