"""Where commands that work on the data themselves have them at hand, and tell the audit log so."""

import contextlib
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nexus.cli.errors import Failed

if TYPE_CHECKING:
    from nexus.domain.audit_chain import End
    from nexus.keys import Keys
    from nexus.settings import Settings
    from nexus.store import Tx


class Hand:
    """One transaction on the installation's database, with its keys."""

    def __init__(self, settings: "Settings", tx: "Tx") -> None:
        self._settings = settings
        self.tx = tx
        self.ends: dict[str, End] = {}

    @cached_property
    def keys(self) -> "Keys":
        """The keys of the data folder; the first ones are made.

        Raises:
            DataDirError: they are damaged, or not those of a database that nodes share.
        """
        from nexus.keys import load_keys
        from nexus.services import installation
        from nexus.store import DataDirError

        folder = self._settings.data_dir
        keys = load_keys(folder, self._settings.signing_secrets)
        shared = self._settings.database_url is not None
        if shared and not installation.has_same_keys(self.tx, keys.fingerprint, keys.signing):
            raise DataDirError(f"the keys in {folder} are not those of this database")
        return keys

    def tell(self, tenant_id: str, **act: Any) -> None:
        """Add to a tenant's audit log what the installation does: an ``Act`` without its role."""
        from nexus.domain.audit_chain import audit_key
        from nexus.services import audit

        key, told = audit_key(self.keys.pepper), audit.Act(role=audit.INSTALLATION, **act)
        self.ends[tenant_id] = audit.append(self.tx, key, tenant_id, told)


@contextlib.contextmanager
def at_hand(settings: "Settings") -> Iterator[Hand]:
    """Give the database, brought up to date, which may be at work meanwhile; commit at the end.

    Raises:
        Failed: a service refused; nothing is changed.
        StoreError: the database cannot be used.
    """
    from nexus.audit_anchor import advance
    from nexus.domain.errors import NexusError
    from nexus.store import Tx, open_database
    from nexus.store.clock import wall_clock

    with contextlib.closing(open_database(settings.database)) as database:
        database.migrate()
        try:
            with database.writer.begin() as connection:
                hand = Hand(settings, Tx(connection, wall_clock()))
                yield hand
        except NexusError as error:
            raise Failed(error.message) from error
    advance(settings.data_dir, hand.ends)
