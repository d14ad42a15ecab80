"""Where state lives: the schema, its migrations and the unit of work, behind one door."""

from nexus.store.database import Database, DatabaseUnusable, DataDirError, StoreError
from nexus.store.opening import open_database, open_unit_of_work
from nexus.store.sqlite import SqliteDatabase
from nexus.store.tx import Tx
from nexus.store.unit_of_work import UnitOfWork

__all__ = [
    "DataDirError",
    "Database",
    "DatabaseUnusable",
    "SqliteDatabase",
    "StoreError",
    "Tx",
    "UnitOfWork",
    "open_database",
    "open_unit_of_work",
]
