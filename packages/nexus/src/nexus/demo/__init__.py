"""The demo: a Nexus, agents as processes of their own, real work, all of it on one screen."""

from nexus.demo.errors import DemoFailed, DemoInterrupted
from nexus.demo.show import Options, run

__all__ = ["DemoFailed", "DemoInterrupted", "Options", "run"]
