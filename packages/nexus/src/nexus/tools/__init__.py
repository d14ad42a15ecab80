"""Where tools are run for agents: a shelf that keeps them alive, and a runner that makes calls."""

from nexus.tools.gateway import ToolGateway

__all__ = ["ToolGateway"]
