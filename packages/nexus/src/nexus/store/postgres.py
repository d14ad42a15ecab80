"""Where PostgreSQL is opened: its address, its sessions' settings, and what it is refused for."""

from typing import Any

import sqlalchemy as sa

from nexus.store.database import Database, DatabaseUnusable
from nexus.store.postgres_failures import reason
from nexus.store.schema import activity

OLDEST = 15
WRITERS = 8
READERS = 4
"""Connections of one node; each waits for the disk or the server most of the time."""

_SETTING = "NEXUS_DATABASE_URL"
_DRIVERS = frozenset({"postgresql", "postgres", "postgresql+psycopg"})
_MIGRATION_LOCK = 0x6E65787573
_CONNECTING = {
    "application_name": "nexus",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""A server that is gone without a word is noticed within ten seconds."""

_SESSION = (
    "SET synchronous_commit = on",  # whatever the server's default: an answer means it is on disk
    "SET lock_timeout = '5s'",
    "SET statement_timeout = '30s'",
    "SET idle_in_transaction_session_timeout = '60s'",
)

_NEWEST_TXID = """SELECT max(newest.txid), pg_current_xact_id()::text::bigint FROM tenants,
LATERAL (SELECT max(txid) AS txid FROM activity WHERE tenant_id = tenants.id) AS newest"""
"""The greatest number of a transaction in the feed, by its index, and this transaction's own."""


class PostgresDatabase(Database):
    """A PostgreSQL that several nodes may share.

    Raises:
        DatabaseUnusable: ``url`` is none of PostgreSQL.
    """

    is_shared = True

    def __init__(self, url: str) -> None:
        self._url = _parsed(url)
        self.name = _shown(self._url)
        self.writer = self._engine(size=WRITERS, read_only=False)
        self.reader = self._engine(size=READERS, read_only=True)

    def _engine(self, *, size: int, read_only: bool) -> sa.Engine:
        given = {name: value for name, value in _CONNECTING.items() if name not in self._url.query}
        engine = sa.create_engine(
            self._url.set(drivername="postgresql+psycopg"),
            pool_size=size,
            max_overflow=0,
            connect_args=given,
            hide_parameters=True,
        )
        sa.event.listen(engine, "connect", _prepare_session(read_only=read_only))
        return engine

    def check(self, connection: sa.Connection) -> None:
        """Refuse a server that is too old, or a database that cannot hold every text."""
        version, encoding = connection.exec_driver_sql(
            "SELECT current_setting('server_version_num')::int / 10000,"
            " current_setting('server_encoding')"
        ).one()
        if version < OLDEST:
            raise self.unusable(f"is PostgreSQL {version}; Nexus needs {OLDEST} or newer")
        if encoding != "UTF8":
            raise self.unusable(f"is encoded in {encoding}; create it with ENCODING 'UTF8'")

    def keep_others_out(self, connection: sa.Connection) -> None:
        """Let one node at a time change the schema."""
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")

    def settle_in(self, connection: sa.Connection) -> None:
        """Put what another server wrote before all that this one counts."""
        newest, next_ = connection.exec_driver_sql(_NEWEST_TXID).one()
        if newest is not None and newest >= next_:
            earlier = activity.c.txid - newest - 1
            connection.execute(activity.update().values(txid=earlier))

    def claim(self) -> None:
        """Do nothing: any number of nodes may serve from it."""

    def unusable(self, why: str) -> DatabaseUnusable:
        """Return the error that names the setting and the database."""
        return DatabaseUnusable(f"{_SETTING}: {self.name} {why}")

    def broken(self, error: sa.exc.DBAPIError) -> DatabaseUnusable:
        """Return the error for a server that cannot be reached, or refuses us."""
        return self.unusable(f"cannot be used: {reason(error)}")


def _parsed(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.drivername not in _DRIVERS:
        raise DatabaseUnusable(
            f"{_SETTING}: want an address such as postgresql://USER:PASSWORD@HOST:5432/DATABASE"
        )
    return parsed


def _shown(url: sa.URL) -> str:
    """Return the address without whatever may be secret."""
    where = url.host or "localhost"
    port = "" if url.port is None else f":{url.port}"
    return f"postgresql://{where}{port}/{url.database or ''}"


def _prepare_session(*, read_only: bool) -> Any:
    settings = [*_SESSION, *(["SET default_transaction_read_only = on"] if read_only else [])]

    def on_connect(dbapi_connection: Any, _record: Any) -> None:
        dbapi_connection.prepare_threshold = 1  # what runs twice is planned once
        dbapi_connection.prepared_max = 1_000
        dbapi_connection.autocommit = True
        try:
            dbapi_connection.execute("; ".join(settings), prepare=False)
        except BaseException:
            dbapi_connection.close()
            raise
        dbapi_connection.autocommit = False

    return on_connect
