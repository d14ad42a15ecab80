"""Where senders wait for a database that does not answer: nothing is lost, it is only late."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nexus.domain.errors import Unavailable

R = TypeVar("R")
PAUSE_S = 1.0
_log = logging.getLogger("nexus.delivery")


async def patiently(act: Callable[[], Awaitable[R]]) -> R:
    """Return what ``act`` returns, trying again each second while the store does not answer."""
    while True:
        try:
            return await act()
        except Unavailable as error:
            _log.debug("store_unavailable reason=%r", error.message)  # the store warns for all
            await asyncio.sleep(PAUSE_S)
