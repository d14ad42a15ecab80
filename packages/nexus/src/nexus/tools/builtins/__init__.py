"""Where the tools live that Nexus brings along: each a provider, given what it needs."""

from nexus.tools.builtins.github import GitHub

__all__ = ["GitHub"]
