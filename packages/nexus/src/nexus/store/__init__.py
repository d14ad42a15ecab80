"""Where state lives: the schema, its migrations and the unit of work, behind one door."""

from nexus.store.database import Database, DataDirError
from nexus.store.tx import Tx
from nexus.store.unit_of_work import UnitOfWork

__all__ = ["DataDirError", "Database", "Tx", "UnitOfWork"]
