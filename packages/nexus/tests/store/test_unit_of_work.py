"""The one door to the store: whole or not at all, durable before answered."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
import sqlalchemy as sa

from fake_time import FakeTime
from nexus.domain.errors import Conflict, Unavailable
from nexus.store import SqliteDatabase, Tx
from nexus.store.schema import meta
from nexus.store.unit_of_work import SqliteUnitOfWork


class Door:
    """A unit of work and the topics it published."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.published: list[str] = []
        self.database = SqliteDatabase(path)
        self.database.migrate()
        self.store = SqliteUnitOfWork(self.database, FakeTime(), self._publish)

    def _publish(self, topics: Iterable[str]) -> None:
        self.published.extend(topics)

    async def keys(self) -> set[str]:
        return await self.store.read(lambda tx: {row["key"] for row in tx.rows(meta.select())})


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    door = Door(tmp_path / "nexus.db")
    yield door
    await door.store.close()
    door.database.close()


def put(tx: Tx, key: str) -> str:
    tx.insert(meta, {"key": key, "value": key})
    tx.wake(f"topic-{key}")
    return key


def put_then_refuse(tx: Tx, key: str) -> None:
    put(tx, key)
    raise Conflict("not this one")


async def test_of_commands_that_commit_together_a_refused_one_leaves_no_trace(door: Door) -> None:
    services = [put_then_refuse if number == 7 else put for number in range(20)]
    wishes = [door.store.write(service, str(number)) for number, service in enumerate(services)]
    outcomes = await asyncio.gather(*wishes, return_exceptions=True)
    assert isinstance(outcomes[7], Conflict)
    wanted = {str(number) for number in range(20) if number != 7}
    assert await door.keys() == wanted
    assert set(door.published) == {f"topic-{key}" for key in wanted}


async def test_what_was_answered_is_on_disk_for_another_connection(door: Door) -> None:
    await door.store.write(put, "kept")
    with contextlib.closing(sqlite3.connect(door.path)) as other:
        assert other.execute("select value from meta").fetchall() == [("kept",)]


async def test_a_locked_database_refuses_the_write_and_recovers_by_itself(door: Door) -> None:
    door.store.lock_patience_ms = 50
    with contextlib.closing(sqlite3.connect(door.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            await door.store.write(put, "refused")
        assert await door.keys() == set()
        other.execute("ROLLBACK")
    await door.store.write(put, "later")
    assert await door.keys() == {"later"}


async def test_a_reader_cannot_write(door: Door) -> None:
    with pytest.raises((Unavailable, sa.exc.DBAPIError)):
        await door.store.read(put, "sneaky")


async def test_a_write_goes_on_when_its_waiter_is_cancelled(door: Door) -> None:
    wish = asyncio.create_task(door.store.write(put, "whole"))
    await asyncio.sleep(0)
    wish.cancel()
    await door.store.write(put, "next")
    assert await door.keys() == {"whole", "next"}


async def test_a_closed_store_says_so(door: Door) -> None:
    await door.store.close()
    with pytest.raises(Unavailable, match="shutting down"):
        await door.store.write(put, "late")
