"""Where a transaction lives, as services see it: a connection, the moment, and whom to wake."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import sqlalchemy as sa

from nexus.store.schema import activity
from nexus.store.statement import Row, Statement, insert_into, update_of

__all__ = ["Committed", "Followers", "Row", "Tx"]

Query = Statement | sa.Select[Any]

_EXCLUDE = Statement(
    sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(sa.bindparam("name"), 0)))
)


class Tx:
    """One command's view of the store; ``now`` is in epoch milliseconds.

    Topics named with :meth:`wake` are published once the transaction is on disk, and only then.
    What runs in every task's life is a :class:`Statement`, whose values are given by name; what
    runs now and then is an expression of SQLAlchemy Core that holds its values itself.
    """

    def __init__(
        self,
        connection: sa.Connection,
        now: int,
        entries: list[Row] | None = None,
        driver: Any = None,
    ) -> None:
        self.connection = connection
        self.now = now
        self.entries = entries
        self.wakes: set[str] = set()
        self.told: list[Row] = []
        self._dialect = connection.dialect
        self._driver = driver or connection.connection.driver_connection

    def wake(self, *topics: str) -> None:
        """Ask for ``topics`` to be woken after the commit."""
        self.wakes.update(topics)

    def tell(self, event: Row) -> None:
        """Name an agent's event that this transaction stores, for those who will send it."""
        self.told.append(event)

    def one(self, query: Query, **values: Any) -> Row | None:
        """Return the only row of ``query``, or None."""
        rows = self.rows(query, **values)
        if len(rows) > 1:
            raise sa.exc.MultipleResultsFound(f"{len(rows)} rows where at most one was expected")
        return rows[0] if rows else None

    def rows(self, query: Query, **values: Any) -> Sequence[Row]:
        """Return all rows of ``query``."""
        if isinstance(query, Statement):
            return query.on(self._dialect).rows(self._driver, values)
        return cast("Sequence[Row]", self.connection.execute(query).mappings().all())

    def scalar(self, query: Query, **values: Any) -> Any:
        """Return the first column of the first row, or None."""
        if isinstance(query, Statement):
            rows = self.rows(query, **values)
            return next(iter(rows[0].values())) if rows else None
        return self.connection.execute(query).scalar()

    def insert(self, table: sa.Table, values: Mapping[str, Any]) -> None:
        """Insert one row."""
        insert_into(table, tuple(values)).on(self._dialect).change(self._driver, values)

    def insert_all(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows that have the same columns."""
        if rows:
            statement = insert_into(table, tuple(rows[0]))
            statement.on(self._dialect).change_all(self._driver, rows)

    def exclude(self, *name: str) -> None:
        """Have whoever names the same wait until this transaction has ended."""
        if self._dialect.name == "postgresql":
            self.rows(_EXCLUDE, name="\n".join(name))

    def note(self, entry: Row) -> None:
        """Add an entry to the feed of what happens; it need not be there before the commit."""
        if self.entries is None:
            self.insert(activity, entry)
        else:
            self.entries.append(entry)

    def update(self, table: sa.Table, values: Mapping[str, Any], **where: Any) -> int:
        """Set ``values`` where columns equal ``where``; return how many rows that touched."""
        statement = update_of(table, tuple(values), tuple(where))
        was = {f"was_{name}": value for name, value in where.items()}
        return statement.on(self._dialect).change(self._driver, {**values, **was})

    def change_all(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> int:
        """Run an update for each of these rows of values; return how many rows that touched."""
        return statement.on(self._dialect).change_all(self._driver, rows) if rows else 0

    def change(self, statement: Statement | sa.Update | sa.Delete, **values: Any) -> int:
        """Run an update or delete and return how many rows it touched."""
        if isinstance(statement, Statement):
            return statement.on(self._dialect).change(self._driver, values)
        return self.connection.execute(statement).rowcount

    def has_ended(self, txid: sa.Column[int]) -> sa.ColumnElement[bool]:
        """Return the condition that this transaction and all before it have ended.

        It holds for all where one writes at a time.
        """
        if self._dialect.name != "postgresql":
            return sa.true()
        running = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
        return txid < sa.literal_column(running, sa.BigInteger)


@dataclass(frozen=True, slots=True)
class Committed:
    """What one commit has brought: topics to wake, agents' events, entries of the feed."""

    topics: set[str] = field(default_factory=set)
    events: list[Row] = field(default_factory=list)
    entries: list[Row] = field(default_factory=list)

    def add(self, tx: Tx) -> None:
        """Count a command's transaction in."""
        self.topics.update(tx.wakes)
        self.events.extend(tx.told)
        self.entries.extend(tx.entries or ())


class Followers:
    """Services that follow from others: run in the same commit as whatever wakes their topic."""

    def __init__(self) -> None:
        self._services: dict[str, list[Callable[[Tx], object]]] = {}

    def add(self, topic: str, service: Callable[[Tx], object]) -> None:
        """Have ``service`` run whenever a command wakes ``topic``."""
        self._services.setdefault(topic, []).append(service)

    def __contains__(self, service: object) -> bool:
        """Say whether ``service`` follows a topic."""
        return any(service in services for services in self._services.values())

    @property
    def topics(self) -> frozenset[str]:
        """The topics that have followers."""
        return frozenset(self._services)

    def of(self, topics: Iterable[str]) -> list[Callable[[Tx], object]]:
        """Return the services to run after commands that woke these topics."""
        woken = [topic for topic in self._services if topic in set(topics)]
        return [service for topic in woken for service in self._services[topic]]
