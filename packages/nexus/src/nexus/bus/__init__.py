"""Where wake-ups travel: topics without content, so that a lost one costs time and never truth."""

from nexus.bus.local import Bus, LocalBus

__all__ = ["Bus", "LocalBus"]
