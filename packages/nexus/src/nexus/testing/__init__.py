"""Where stand-ins for the services around Nexus are offered to tests, ours and those of others."""

from nexus.testing.github import GitHubServer
from nexus.testing.slack import SlackServer

__all__ = ["GitHubServer", "SlackServer"]
