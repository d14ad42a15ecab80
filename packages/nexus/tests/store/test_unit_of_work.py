"""The one door to the store: whole or not at all, durable before answered."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest
import sqlalchemy as sa

from fake_time import FakeTime
from nexus.domain.errors import Conflict, Unavailable
from nexus.store import Tx, open_database, open_unit_of_work
from nexus.store.schema import meta
from nexus.store.statement import Statement
from oblivion.protocol import TaskStatus


class Door:
    """A unit of work and the topics it published."""

    def __init__(self, url: str) -> None:
        self.published: list[str] = []
        self.database = open_database(url)
        self.database.migrate()
        self.store = open_unit_of_work(self.database, self._publish, FakeTime())

    def _publish(self, topics: Iterable[str]) -> None:
        self.published.extend(topics)

    async def keys(self) -> set[str]:
        return await self.store.read(lambda tx: {row["key"] for row in tx.rows(meta.select())})


@pytest.fixture
async def door(database_url: str) -> AsyncIterator[Door]:
    door = Door(database_url)
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


async def test_what_was_answered_is_there_for_another_connection(
    door: Door, database_url: str
) -> None:
    await door.store.write(put, "kept")
    other = open_database(database_url)
    with other.reader.connect() as connection:
        assert connection.scalars(sa.select(meta.c.value)).all() == ["kept"]
    other.close()


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


async def test_what_follows_a_command_is_in_its_commit(door: Door) -> None:
    door.store.follow("topic-first", lambda tx: put(tx, "second"))
    await door.store.write(put, "first")
    assert await door.keys() == {"first", "second"}
    assert door.published == ["topic-second"]


async def test_a_command_stands_though_what_follows_it_fails(door: Door) -> None:
    def fail(tx: Tx) -> None:
        put(tx, "undone")
        raise Conflict("cannot follow")

    door.store.follow("topic-first", fail)
    await door.store.write(put, "first")
    assert await door.keys() == {"first"}


@pytest.mark.parametrize(
    "constant",
    [
        "plain",
        "it's",
        'say "%s" to 100 % of :them',
        "a\\b",
        "",
        7,
        2**40,
        0.5,
        True,
        TaskStatus.DONE,
    ],
)
async def test_a_constant_in_a_statement_means_itself(door: Door, constant: object) -> None:
    statement = Statement(
        sa.select(sa.literal(constant).label("constant"), meta.c.key)
        .where(meta.c.key == sa.bindparam("wanted"))
        .limit(1)
    )
    await door.store.write(put, "it")
    found = await door.store.read(lambda tx: tx.one(statement, wanted="it"))
    assert found == {"constant": constant, "key": "it"}
