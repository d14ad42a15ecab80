"""The Observer: the web pages at `/`, where people watch and steer; rendered here, live there."""

from nexus.observer.site import Observer

__all__ = ["Observer"]
