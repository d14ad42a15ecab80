"""The command line of Nexus: a server to start, and a client of its API."""

from nexus.cli.root import main

__all__ = ["main"]
