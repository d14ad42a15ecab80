"""What holds for all statements that run in every task's life."""

import pkgutil
import sqlite3
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nexus import services
from nexus.store import SqliteDatabase
from nexus.store.statement import Some, Statement
from nexus.store.tx import Tx


def test_sqlite_plans_no_statement_anew_for_other_values(tmp_path: Path) -> None:
    """It does where a value could tell whether an index serves: that took longer than to run it."""
    database = SqliteDatabase(tmp_path / "nexus.db")
    database.migrate()
    planned: list[object] = []

    def note(*what: object) -> int:
        planned.append(what)
        return sqlite3.SQLITE_OK

    with database.writer.begin() as connection:
        tx = Tx(connection, 0)
        driver: Any = connection.connection.driver_connection
        driver.set_authorizer(note)
        statements = list(_statements())
        for statement in statements:
            _run(tx, statement, "one", 1)
            planned.clear()
            _run(tx, statement, "TODO", 2)
            assert planned == [], statement._core
    assert len(statements) > 40
    database.close()


def _statements() -> Iterator[Statement]:
    for module in pkgutil.iter_modules(services.__path__):
        for value in vars(import_module(f"{services.__name__}.{module.name}")).values():
            several = value if isinstance(value, tuple) else (value,)
            found = [one._statement if isinstance(one, Some) else one for one in several]
            yield from (one for one in found if isinstance(one, Statement))


def _run(tx: Tx, statement: Statement, word: str, number: int) -> None:
    """Run it with such values; nothing is there that it could change."""
    bound = statement._core.compile(dialect=tx.connection.dialect).bind_names.items()
    kinds = {name: bind.type for bind, name in bound if bind.required}
    values = {name: word if isinstance(kind, sa.String) else number for name, kind in kinds.items()}
    if isinstance(statement._core, sa.Select) or statement._core.exported_columns:
        tx.rows(statement, **values)
    else:
        tx.change(statement, **values)
