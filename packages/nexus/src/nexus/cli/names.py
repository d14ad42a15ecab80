"""Where ids of agents become names that people know."""

from typing import TYPE_CHECKING

from nexus.cli.addresses import segment
from nexus.cli.errors import CliError

if TYPE_CHECKING:
    from nexus.cli.client import Client


class AgentNames:
    """Client ids of agents, asked for once each."""

    def __init__(self, nexus: "Client") -> None:
        self._nexus = nexus
        self._known: dict[str, str] = {}

    def of(self, agent_id: str | None) -> str:
        """Return the agent's client id; its id where that cannot be had, nothing for None."""
        if agent_id is None:
            return ""
        if agent_id not in self._known:
            self._known[agent_id] = self._ask(agent_id)
        return self._known[agent_id]

    def _ask(self, agent_id: str) -> str:
        try:
            return str(self._nexus.get(f"/observer/agents/{segment(agent_id)}")["clientId"])
        except CliError:
            return agent_id
