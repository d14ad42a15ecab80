"""Nexus, the server of Oblivion: identity, dispatch, durable delivery and threads for agents."""

from importlib.metadata import version

__version__ = version("oblivion-nexus")
