"""How a file of tasks is read, checked as a whole, and turned into what is sent."""

from nexus.cli.importing._plan import SUFFIXES, Format, Plan, PlannedTask, make_plan
from nexus.cli.importing._rows import Mistake

__all__ = ["SUFFIXES", "Format", "Mistake", "Plan", "PlannedTask", "make_plan"]
