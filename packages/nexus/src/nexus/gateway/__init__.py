"""Where agents connect: Socket.IO in, commands to services; events out through an outlet."""

from nexus.gateway.server import create_gateway

__all__ = ["create_gateway"]
