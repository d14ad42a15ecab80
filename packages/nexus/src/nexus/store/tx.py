"""Where a transaction lives, as services see it: a connection, the moment, and whom to wake."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

Row = sa.RowMapping


@dataclass(frozen=True, kw_only=True)
class Tx:
    """One command's view of the store; ``now`` is in epoch milliseconds.

    Topics named with :meth:`wake` are published once the transaction is on disk, and only then.
    """

    connection: sa.Connection
    now: int
    wakes: set[str] = field(default_factory=set)

    def wake(self, *topics: str) -> None:
        """Ask for ``topics`` to be woken after the commit."""
        self.wakes.update(topics)

    def one(self, query: sa.Select[Any]) -> Row | None:
        """Return the only row of ``query``, or None."""
        return self.connection.execute(query).mappings().one_or_none()

    def rows(self, query: sa.Select[Any]) -> Sequence[Row]:
        """Return all rows of ``query``."""
        return self.connection.execute(query).mappings().all()

    def scalar(self, query: sa.Select[Any]) -> Any:
        """Return the first column of the first row, or None."""
        return self.connection.execute(query).scalar()

    def insert(self, table: sa.Table, values: Mapping[str, Any]) -> None:
        """Insert one row."""
        self.connection.execute(table.insert(), dict(values))

    def change(self, statement: sa.Update | sa.Delete) -> int:
        """Run an update or delete and return how many rows it touched."""
        return self.connection.execute(statement).rowcount
