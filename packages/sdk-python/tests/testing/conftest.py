"""Where the fixtures of ``oblivion-sdk[testing]`` take the place of the scripted Nexus's."""

from oblivion_pytest.fixtures import clock, nexus

__all__ = ["clock", "nexus"]
