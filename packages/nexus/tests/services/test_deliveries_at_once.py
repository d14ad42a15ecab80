"""Whoever posts waits for nobody, however many post to the same lanes at once."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from letters import BOX, all_of, letter
from nexus.services import deliveries
from nexus.store import Tx, UnitOfWork
from nexus.store.opening import open_unit_of_work
from service_world import ServiceWorld

LANES = "abcdefgh"


@pytest.fixture
async def store(world: ServiceWorld) -> AsyncIterator[UnitOfWork]:
    """What runs services at once, where the database does."""
    store = open_unit_of_work(world.database, lambda _topics: None, world.time)
    yield store
    await store.close()


async def test_what_many_post_to_many_lanes_at_once_is_claimed_once_each(
    world: ServiceWorld, store: UnitOfWork
) -> None:
    """Each writes to all lanes, half of them in the other order, while others claim and end."""
    runs: Counter[int] = Counter()

    def post(tx: Tx, number: int) -> None:
        runs[number] += 1
        for lane in LANES if number % 2 else LANES[::-1]:
            deliveries.post(tx, letter(world.admin.tenant_id, f"{number} {lane}", lane=lane))

    made: list[str] = []

    async def see_to_all() -> None:
        while len(made) < 20 * len(LANES):
            rows = await store.write(deliveries.claim, BOX, limit=4)
            for row in rows:
                await store.write(deliveries.end, row)
            made.extend(row["key"] for row in rows)

    posting = (store.write(post, number) for number in range(20))
    async with asyncio.timeout(50):
        await asyncio.gather(*posting, see_to_all(), see_to_all())

    assert sorted(made) == sorted(await store.read(all_of))
    assert set(runs.values()) == {1}, "nobody had to begin anew"


async def test_two_that_post_to_lanes_in_another_order_do_not_wait_for_each_other(
    shared: ServiceWorld,
) -> None:
    runs: list[str] = []
    both = threading.Barrier(2)

    def post(tx: Tx, lanes: str) -> None:
        runs.append(lanes)
        tenant_id = shared.admin.tenant_id
        for lane in lanes:
            deliveries.post(tx, letter(tenant_id, f"{lane} of {lanes}", lane=lane))
            both.wait(10)

    store = open_unit_of_work(shared.database, lambda _topics: None, shared.time)
    try:
        await asyncio.gather(store.write(post, "ab"), store.write(post, "ba"))
        rows = await store.write(deliveries.claim, BOX, limit=4)
        assert sorted(runs) == ["ab", "ba"]
        assert sorted(row["lane"] for row in rows) == ["a", "b"]
    finally:
        await store.close()


async def test_what_is_posted_while_the_last_of_its_lane_ends_is_claimed(
    shared: ServiceWorld,
) -> None:
    """Neither saw what the other did, and still the lane goes on."""
    posted, may_commit = threading.Event(), threading.Event()

    def post_slowly(tx: Tx) -> None:
        deliveries.post(tx, letter(shared.admin.tenant_id, "next"))
        posted.set()
        assert may_commit.wait(10)

    shared.run(deliveries.post, letter(shared.admin.tenant_id, "last"))
    (last,) = shared.run(deliveries.claim, BOX, limit=1)
    store = open_unit_of_work(shared.database, lambda _topics: None, shared.time)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(store.write(post_slowly))
            assert await asyncio.to_thread(posted.wait, 10)
            shared.run(deliveries.end, last)
            may_commit.set()
        (row,) = await store.write(deliveries.claim, BOX, limit=1)
        assert row["key"] == "next"
    finally:
        may_commit.set()
        await store.close()
