"""The HTTP API of Nexus: it reads requests, lets services do the work, and writes answers."""

from nexus.api.assembly import create_api, show_pages
from nexus.api.headers import Browsers
from nexus.api.proving import recognised

__all__ = ["Browsers", "create_api", "recognised", "show_pages"]
