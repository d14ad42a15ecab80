"""Where agents connect: Socket.IO in, commands to services; events out through an outlet."""

from nexus.gateway.door import ASGIApp, FrontDoor
from nexus.gateway.server import create_gateway

__all__ = ["ASGIApp", "FrontDoor", "create_gateway"]
