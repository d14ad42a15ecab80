"""Where a database is opened, whichever it is: one engine that writes, one that only reads."""

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import sqlalchemy as sa

from nexus.store import versions


class StoreError(Exception):
    """What is kept cannot be reached or used; the message says why and what to do."""


class DataDirError(StoreError):
    """The data folder cannot be used."""


class DatabaseUnusable(StoreError):
    """The database that ``NEXUS_DATABASE_URL`` names cannot be used."""


def prepare_data_dir(path: Path) -> None:
    """Create the data folder, private to its owner.

    Raises:
        DataDirError: it cannot be created or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise DataDirError(
            f"cannot create the data folder {path}: {error.strerror}; "
            "choose another one with --data-dir"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise DataDirError(
            f"the data folder {path} is not writable by this user; "
            "change its owner or choose another one with --data-dir"
        )


class Database(ABC):
    """An opened database; ``name`` shows it to people and holds no password."""

    name: str
    is_shared: ClassVar[bool]
    """Whether several nodes may work on it at once."""
    writer: sa.Engine
    reader: sa.Engine

    def migrate(self) -> str:
        """Bring the schema to this version's and return that version.

        Raises:
            StoreError: the database cannot be used, or a newer Nexus has written it.
        """
        self.refuse_newer()
        with self.writer.connect() as connection:
            self.keep_others_out(connection)
            versions.upgrade(connection)
            self.settle_in(connection)
            connection.commit()
        return self.newest_version()

    def refuse_newer(self) -> None:
        """Refuse a schema that this version of Nexus does not know.

        Raises:
            StoreError: the database cannot be used, or a newer Nexus has written it.
        """
        found = self.version()
        if not versions.is_known(found):
            raise self.unusable(
                f"was written by a newer Nexus (schema {found}, this one knows up to "
                f"{self.newest_version()}); upgrade Nexus or restore a backup"
            )

    def version(self) -> str | None:
        """Return the version of the schema that is there; None for an empty database.

        Raises:
            StoreError: the database cannot be used.
        """
        try:
            with self.reader.connect() as connection:  # while somebody else writes, too
                self.check(connection)
                return versions.found(connection)
        except sa.exc.DBAPIError as error:
            raise self.broken(error) from error

    @staticmethod
    def newest_version() -> str:
        """Return the schema version that this code needs."""
        return versions.newest()

    @abstractmethod
    def unusable(self, why: str) -> StoreError:
        """Return the error that names this database and says why it cannot be used."""

    @abstractmethod
    def broken(self, error: sa.exc.DBAPIError) -> StoreError:
        """Return what an error of the driver means for whoever opens the database."""

    @abstractmethod
    def check(self, connection: sa.Connection) -> None:
        """Refuse a server that Nexus cannot work with."""

    @abstractmethod
    def keep_others_out(self, connection: sa.Connection) -> None:
        """Wait until nobody else changes the schema, and let nobody until the commit."""

    @abstractmethod
    def settle_in(self, connection: sa.Connection) -> None:
        """Fit to this server what may have been restored from another one."""

    @abstractmethod
    def claim(self) -> None:
        """Begin to serve from it, until it is closed; one that is shared serves any number.

        Raises:
            StoreError: another Nexus serves from it, which it cannot share.
        """

    def close(self) -> None:
        """Close every connection."""
        self.writer.dispose()
        self.reader.dispose()
