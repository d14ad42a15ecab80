"""Where the tool gateway of a node lives: its shelf and its runner, started and stopped as one."""

import asyncio
from collections.abc import Mapping, Sequence

from nexus.domain.audit_chain import audit_key
from nexus.domain.redaction import KnownSecrets
from nexus.domain.tool_policy import KnownRule
from nexus.services.platform import Platform
from nexus.services.tool_gate import Gate
from nexus.tools.output import Inspection
from nexus.tools.runner import Runner
from nexus.tools.shelf import Placed, Shelf


class ToolGateway:
    """Runs tools for agents, within what rules allow.

    ``tools`` are those that this node runs, ``rules`` those of the settings; ``secrets`` are
    taken out of whatever tools return.
    """

    def __init__(
        self,
        platform: Platform,
        tools: Mapping[str, Placed] | None = None,
        rules: Sequence[KnownRule] = (),
        secrets: KnownSecrets | None = None,
    ) -> None:
        self._shelf = Shelf(tools or {}, rules, audit_key(platform.pepper))
        self._runner = Runner(platform, self._shelf, Inspection(secrets))

    @property
    def gate(self) -> Gate:
        """What calls are judged by at this moment."""
        return self._shelf.gate

    async def run(self) -> None:
        """Take up what an earlier process left, then serve until cancelled.

        On the way out calls at work get a moment to end, while their tools still live.
        """
        await self._runner.recover()
        async with asyncio.TaskGroup() as group:
            shelf = group.create_task(self._shelf.run(), name="tools")
            try:
                await self._runner.run()
            finally:
                await self._runner.drain()
                shelf.cancel()
