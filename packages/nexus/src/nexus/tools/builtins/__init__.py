"""Where the tools live that Nexus brings along: each a provider, given what it needs."""

from nexus.tools.builtins.github import GitHub
from nexus.tools.builtins.http import Http
from nexus.tools.builtins.slack import SlackTool

__all__ = ["GitHub", "Http", "SlackTool"]
