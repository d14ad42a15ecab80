"""The HTTP API of Nexus: it reads requests, lets services do the work, and writes answers."""

from nexus.api.assembly import create_api

__all__ = ["create_api"]
