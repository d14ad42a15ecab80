"""The world of random orders of what people, agents and tools do."""

from tool_world import ToolWorld
from traces.world import TraceWorld


class ToolTraces(ToolWorld, TraceWorld):
    """A world with tools that forgets each trace."""
