"""Where the tools of this node stand: what each can do, and what calls are judged by."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nexus.domain.errors import Invalid
from nexus.domain.tool_catalogue import Action, check_action
from nexus.domain.tool_policy import KnownRule
from nexus.services.tool_gate import Gate, Tool
from nexus.tools.provider import Provider, ToolError

_log = logging.getLogger("nexus.tools")
_LOOK_S = 5.0
_LOOK_SOON_S = 0.3
"""After a look at a tool that was not there: it may be any moment."""
_LIST_S = 10.0
_NOT_YET = "the tool is still being started; try again in a moment"


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A tool on the shelf, and for which tenants it stands there."""

    provider: Provider
    tenants: frozenset[str]


class Shelf:
    """Keeps the tools alive, and knows what they can do; one that fails is looked at again."""

    def __init__(
        self, tools: Mapping[str, Placed], rules: Sequence[KnownRule], audit_key: bytes
    ) -> None:
        self._placed = dict(tools)
        self._rules = tuple(rules)
        self._audit_key = audit_key
        self._known = {
            name: Tool(name=name, tenants=placed.tenants, problem=_NOT_YET)
            for name, placed in tools.items()
        }

    @property
    def gate(self) -> Gate:
        """What calls are judged by at this moment."""
        return Gate(tools=dict(self._known), rules=self._rules, audit_key=self._audit_key)

    def provider(self, name: str) -> Provider | None:
        """Return the tool of this name."""
        placed = self._placed.get(name)
        return None if placed is None else placed.provider

    async def run(self) -> None:
        """Keep the tools alive until cancelled; one that cannot live leaves the others alone."""
        async with asyncio.TaskGroup() as group:
            for name, placed in self._placed.items():
                group.create_task(placed.provider.run(), name=f"tool {name}")
                group.create_task(self._watch(name, placed), name=f"tool {name} watch")

    async def _watch(self, name: str, placed: Placed) -> None:
        while True:
            tool = self._known[name] = await self._look(name, placed)
            await asyncio.sleep(_LOOK_S if tool.problem is None else _LOOK_SOON_S)

    async def _look(self, name: str, placed: Placed) -> Tool:
        try:
            async with asyncio.timeout(_LIST_S):
                found = await placed.provider.list_tools()
        except (ToolError, TimeoutError) as error:
            problem = str(error) or f"it did not say within {_LIST_S:g} s what it can do"
            return Tool(name=name, tenants=placed.tenants, problem=problem)
        except Exception:  # noqa: BLE001 - one tool that fails leaves the others alone
            _log.exception("tool_unusable tool=%s", name)
            problem = "it failed to say what it can do; Nexus's log says why"
            return Tool(name=name, tenants=placed.tenants, problem=problem)
        usable = {action.action: action for action in found if self._is_usable(action)}
        return Tool(name=name, tenants=placed.tenants, actions=usable)

    def _is_usable(self, action: Action) -> bool:
        known = self._known[action.tool].actions.get(action.action)
        if known == action:
            return True
        try:
            check_action(action)
        except Invalid as error:
            _log.warning("tool_action_left_out tool=%s reason=%s", action.tool, error.message)
            return False
        return True
