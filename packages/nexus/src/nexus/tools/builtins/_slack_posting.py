"""Where a message of an agent is put into Slack, once even if an answer gets lost."""

import json
import time
from collections.abc import Mapping
from typing import Any, Protocol

from nexus.domain.slack_marks import Caller, Spot, find, marked
from nexus.store.ids import new_id
from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode

_TRIES = 3


class Means(Caller, Protocol):
    """Whatever calls Slack's Web API for a tool: it raises ``ToolError`` where Slack refuses."""

    async def settle(self) -> None:
        """Wait until what was on its way to Slack has arrived, if it ever does."""
        ...


async def post(means: Means, spot: Spot, said: Mapping[str, Any]) -> str:
    """Post a message and return its ``ts``.

    Where an answer is lost, the message is looked for, and posted again only if it is not there.

    Raises:
        ToolError: Slack refused. Or it may be there, and Slack does not let us look.
    """
    name, since_ms = new_id(), int(time.time() * 1000)
    said = {**said, "metadata": json.dumps(marked(name))}
    if spot.thread_ts is not None:
        said["thread_ts"] = spot.thread_ts
    for tries_left in reversed(range(_TRIES)):
        try:
            return str((await means("chat.postMessage", spot.channel_id, **said))["ts"])
        except ToolError as error:
            there = await _there_after(error, means, spot, name, since_ms)
            if there is not None:
                return there
            if not tries_left:
                raise
    raise AssertionError("the last try has returned or raised")


async def _there_after(
    lost: ToolError, means: Means, spot: Spot, name: str, since_ms: int
) -> str | None:
    """Return where the message stands whose answer was lost; None if it is not there.

    Raises:
        ToolError: what went wrong was something else, or Slack does not let us look.
    """
    if lost.code is not ToolCode.OUTCOME_UNKNOWN:
        raise lost
    await means.settle()
    try:
        return await find(means, spot, name, since_ms=since_ms)
    except ToolError:
        raise lost from None
