"""How Nexus tells operators about itself."""

from nexus.telemetry.logs import configure_logging

__all__ = ["configure_logging"]
