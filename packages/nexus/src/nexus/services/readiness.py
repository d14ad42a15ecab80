"""Where it is asked whether the store can be worked with."""

from alembic.migration import MigrationContext

from nexus.store import Database
from nexus.store.tx import Tx


def schema_is_current(tx: Tx) -> bool:
    """Say whether the schema on disk is the one that this version of Nexus needs."""
    found = MigrationContext.configure(tx.connection).get_current_revision()
    return found == Database.newest_version()
