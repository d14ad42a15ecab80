"""What only the embedded database does: it can be locked by another process."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from fake_time import FakeTime
from nexus.domain.errors import Unavailable
from nexus.store import SqliteDatabase, Tx
from nexus.store.schema import meta
from nexus.store.unit_of_work import SqliteUnitOfWork


def put(tx: Tx, key: str) -> None:
    tx.insert(meta, {"key": key, "value": key})


async def test_a_locked_database_refuses_the_write_and_recovers_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    database = SqliteDatabase(path)
    database.migrate()
    store = SqliteUnitOfWork(database, FakeTime(), lambda _: None)
    store.lock_patience_ms = 50
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            await store.write(put, "refused")
        assert await store.read(lambda tx: tx.rows(meta.select())) == []
        other.execute("ROLLBACK")
        await store.write(put, "later")
        assert other.execute("select value from meta").fetchall() == [("later",)]
    await store.close()
    database.close()
