"""Where the result of a tool is waited for on behalf of clients that take it as an answer alone."""

import asyncio
import contextlib
from typing import Any

from nexus.domain.errors import Unavailable
from nexus.services import tool_calls, views
from nexus.services.platform import Platform
from oblivion.protocol import EventType, wrap

_POLL_S = 1.0
"""How often to look where another node may have carried the call out."""


class ToolResults:
    """Waits until a call has its result; each ends in time, for Nexus gives up those that do not.

    When this node is about to stop, whoever waits is to ask again, at another one or later.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def for_result(self, call_id: str) -> dict[str, Any]:
        """Return the envelope that tells what became of a call, or that a person must decide.

        Raises:
            Unavailable: this node is about to stop, or the store does not answer.
        """
        platform = self._platform
        news, leaving = asyncio.Event(), asyncio.Event()

        def leave() -> None:
            leaving.set()
            news.set()

        with contextlib.ExitStack() as stack:
            stack.callback(platform.bus.listen(tool_calls.topic(call_id), news.set))
            stack.callback(platform.bus.listen(platform.draining_topic, leave))
            while (said := await platform.store.read(tool_calls.answer_now, call_id)) is None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_S):
                        await news.wait()
                if leaving.is_set():
                    raise Unavailable("this Nexus is about to stop; ask again in a moment")
                news.clear()
        return wrap(EventType.TOOL_RESULT, said, views.moment(platform.clock()))
