"""Whoever reads the feed on from where it was misses nothing, however many write at once."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from nexus.services import activity
from nexus.store import Tx, UnitOfWork, open_database
from nexus.store.opening import open_unit_of_work
from nexus.store.schema import activity as feed
from service_world import ServiceWorld

EVERY = 1_000


class Reader:
    """Reads the feed as all do: on from the last entry that it saw."""

    def __init__(self, world: ServiceWorld) -> None:
        self._world = world
        self.after = world.run(activity.position, world.admin.tenant_id)

    def read(self, limit: int = EVERY) -> list[str]:
        tenant_id = self._world.admin.tenant_id
        found = self._world.run(activity.since, tenant_id, after=self.after, limit=limit)
        self.after = found[-1]["id"] if found else self.after
        return [entry["type"] for entry in found]


def write(world: ServiceWorld, *types: str) -> None:
    """Record entries, each in a transaction of its own."""
    for type_ in types:
        world.run(recorded, world.admin.tenant_id, type_)


def recorded(tx: Tx, tenant_id: str, type_: str) -> None:
    activity.record(tx, tenant_id, type_)


def listed(world: ServiceWorld, *, limit: int = EVERY) -> list[str]:
    """Read the feed downwards in pages; return it as it went."""
    types: list[str] = []
    before = None
    while page := world.run(activity.newest, world.admin.tenant_id, limit=limit, before=before):
        types += [entry["type"] for entry in page]
        before = page[-1]["id"]
    return types[::-1]


def test_it_is_read_on_in_pages_in_the_order_in_which_it_is_listed(world: ServiceWorld) -> None:
    reader = Reader(world)
    write(world, *"abcde")
    assert reader.read(limit=2) + reader.read(limit=2) + reader.read(limit=2) == [*"abcde"]
    assert reader.read() == []
    assert listed(world, limit=2)[-5:] == [*"abcde"]


def test_after_an_entry_that_is_not_there_comes_all_that_is(world: ServiceWorld) -> None:
    """It is past its time, or of another history: of before a restore."""
    reader = Reader(world)
    write(world, *"abc")
    reader.read()
    world.run(lambda tx: tx.change(feed.delete().where(feed.c.type != "c")))
    assert reader.read() == []
    world.run(lambda tx: tx.change(feed.delete()))
    assert reader.read() == []
    write(world, *"de")
    assert reader.read() == [*"de"]
    reader.after = 2**40
    assert reader.read() == [*"de"]


# --- where several write at once


class Held:
    """A command that waits before it writes its entry, and before it commits."""

    def __init__(self, tenant_id: str, type_: str) -> None:
        self._tenant_id = tenant_id
        self._type = type_
        self.begun, self.may_write = threading.Event(), threading.Event()
        self.written, self.may_commit = threading.Event(), threading.Event()

    def __call__(self, tx: Tx) -> None:
        self.begun.set()
        assert self.may_write.wait(10)
        activity.record(tx, self._tenant_id, self._type)
        self.written.set()
        assert self.may_commit.wait(10)

    def let_go(self) -> None:
        """Let it end."""
        self.may_write.set()
        self.may_commit.set()


@pytest.fixture
async def store(shared: ServiceWorld) -> AsyncIterator[UnitOfWork]:
    """What runs them at once."""
    store = open_unit_of_work(shared.database, lambda _topics: None, shared.time)
    yield store
    await store.close()


async def until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 10)


async def test_an_entry_that_is_committed_late_is_read_all_the_same(
    shared: ServiceWorld, store: UnitOfWork
) -> None:
    """The command that began last takes the lower id, and commits last."""
    reader, newcomer = Reader(shared), Reader(shared)
    tenant_id = shared.admin.tenant_id
    early, late = Held(tenant_id, "early"), Held(tenant_id, "late")
    async with asyncio.TaskGroup() as group, contextlib.AsyncExitStack() as held:
        held.callback(early.let_go)
        held.callback(late.let_go)
        first = group.create_task(store.write(early))
        await until(early.begun)
        group.create_task(store.write(late))
        late.may_write.set()
        await until(late.written)
        early.let_go()
        await first
        seen = reader.read()
        newcomer = Reader(shared)
    assert seen + reader.read() == ["early", "late"]
    assert seen + newcomer.read() == ["early", "late"], "it begins where the other was"
    assert listed(shared, limit=1)[-2:] == ["early", "late"]


async def test_an_entry_is_not_read_while_one_before_it_may_come(
    shared: ServiceWorld, store: UnitOfWork
) -> None:
    reader = Reader(shared)
    slow = Held(shared.admin.tenant_id, "slow")
    async with asyncio.TaskGroup() as group, contextlib.AsyncExitStack() as held:
        held.callback(slow.let_go)
        group.create_task(store.write(slow))
        await until(slow.begun)
        write(shared, "fast")
        assert reader.read() == []
    assert reader.read() == ["slow", "fast"]


# --- and after a restore on another server


def test_a_feed_restored_from_a_server_that_counted_further_goes_on(
    postgres_url: str, shared: ServiceWorld
) -> None:
    reader = Reader(shared)
    write(shared, *"abc")
    assert reader.read(limit=1) == ["a"]
    ahead = feed.update().values(txid=feed.c.txid + 10**9)
    shared.run(lambda tx: tx.change(ahead.where(feed.c.txid != 0)))
    before = shared.run(order_of_all)

    with contextlib.closing(open_database(postgres_url)) as opened:
        opened.migrate()

    assert shared.run(order_of_all) == before
    write(shared, "d")
    assert reader.read() == [*"bcd"]


def order_of_all(tx: Tx) -> list[int]:
    query = sa.select(feed.c.id).order_by(feed.c.txid, feed.c.id)
    return [row["id"] for row in tx.rows(query)]


def test_a_search_looks_no_farther_than_it_may_and_goes_on_from_there(
    world: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "FARTHEST", 4)
    write(world, "agent_woken", *["task_done"] * 5, "agent_woken", "task_done")
    found: list[str] = []
    cursor: int | None = None
    looks = 0
    while looks == 0 or cursor is not None:
        wanted = activity.ActivityFilter(kind=activity.Kind.AGENTS, cursor=cursor, limit=1)
        entries, older = world.run(activity.search, world.admin.tenant_id, wanted)
        assert cursor is None or older is None or older < cursor
        found += [entry["type"] for entry in entries]
        cursor, looks = older, looks + 1
    assert found[:2] == ["agent_woken", "agent_woken"]
    assert looks > 2
