"""A box is seen to: in order within a lane, lanes beside each other, each delivery to an end."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import pytest

from box_worker import Act, Maker, Node, node, nothing
from eventually import eventually
from letters import BOX, retry
from nexus.domain.audit_chain import End
from nexus.domain.errors import Invalid, Stopped, Unavailable
from nexus.integrations import worker
from nexus.integrations.worker import Halted, Postponed, Record, Undeliverable
from nexus.services import activity, deliveries
from nexus.store import open_database, schema
from nexus.store.tx import Row, Tx
from service_world import ServiceWorld

CLAIM_S = deliveries.CLAIM_MS / 1_000


def raising(*errors: Exception) -> Act:
    """Raise these, one at each try, and then go well."""
    left = list(errors)

    async def act(_row: Row) -> Record:
        if left:
            raise left.pop(0)
        return nothing

    return act


class Gate:
    """Holds up whoever makes a delivery until a test opens it."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, _row: Row) -> Record:
        await self.opened.wait()
        return nothing


def noting(text: str) -> Callable[[Tx], None]:
    def record(tx: Tx) -> None:
        tx.insert(schema.meta, {"key": text, "value": "note"})

    return record


def notes(tx: Tx) -> set[str]:
    return {
        row["key"] for row in tx.rows(schema.meta.select().where(schema.meta.c.value == "note"))
    }


async def later(one: Node, world: ServiceWorld, seconds: float) -> None:
    """Let time pass, and the worker see that."""
    world.time.advance(seconds=seconds)
    one.wake()


@pytest.fixture
def two_worlds(postgres_url: str) -> Iterator[tuple[ServiceWorld, ServiceWorld]]:
    """A database with two nodes of its own."""
    first, second = ServiceWorld(postgres_url), ServiceWorld.__new__(ServiceWorld)
    second.__dict__.update(first.__dict__)
    second.database = open_database(postgres_url)
    yield first, second
    first.database.close()
    second.database.close()


async def test_a_lane_is_seen_to_in_order(world: ServiceWorld) -> None:
    async with node(world, together=3) as one:
        await one.post("1", "2", "3", "4")
        await one.post("urgent", urgent=True)
        await one.until("done", "1", "2", "3", "4", "urgent")
        assert [key for key in one.maker.begun if key != "urgent"] == ["1", "2", "3", "4"]


async def test_one_of_a_lane_is_under_way_and_other_lanes_go_on(world: ServiceWorld) -> None:
    gate = Gate()
    async with node(world, Maker(acts={"slow": gate})) as one:
        await one.post("slow", "next")
        await one.until_begun(1)
        await one.post("beside", lane="b")
        await one.until("done", "beside")
        await one.post("urgent", urgent=True)
        await one.post("beside 2", lane="b")
        await one.until("done", "beside 2")
        assert one.maker.begun == ["slow", "beside", "beside 2"]
        gate.opened.set()
        await one.until("done", "slow", "urgent", "next")
        assert one.maker.begun[-2:] == ["urgent", "next"]


async def test_a_node_sees_to_a_bounded_number_of_lanes_at_once(world: ServiceWorld) -> None:
    gate = Gate()
    keys = [f"{number}" for number in range(worker.LANES + 2)]
    async with node(world, Maker(acts=dict.fromkeys(keys, gate))) as one:
        for key in keys:
            await one.post(key, lane=key)
        await one.until_begun(worker.LANES)
        claimed = [row for row in (await one.all()).values() if row["claimed_until"] is not None]
        assert len(claimed) == worker.LANES
        asked = one.store.asked.copy()
        await one.post("more", lane="more")
        one.wake()
        assert one.store.asked == asked, "without room nothing is asked"
        gate.opened.set()
        await one.until("done", *keys, "more")


async def test_a_lane_keeps_its_pace_and_others_do_not_wait_for_it(world: ServiceWorld) -> None:
    async with node(world, gap_ms=1_000, together=5) as one:
        await one.post("1", "2")
        await one.until("done", "1")
        await one.post("b", lane="b")
        await one.until("done", "b")
        assert one.maker.begun == ["1", "b"]
        await later(one, world, seconds=1)
        await one.until("done", "2")


async def test_what_is_recorded_is_recorded_with_the_end(world: ServiceWorld) -> None:
    async def act(row: Row) -> Record:
        return noting(row["key"])

    async with node(world, Maker(acts={"k": act})) as one:
        await one.post("k")
        await one.until("done", "k")
        assert await one.store.read(notes) == {"k"}


async def test_the_end_of_the_audit_log_is_held_on_to_once_it_is_on_disk(
    world: ServiceWorld,
) -> None:
    end = End(tenant_id=world.admin.tenant_id, seq=1, seal="seal")

    async def act(_row: Row) -> Record:
        return lambda _tx: end

    async with node(world, Maker(acts={"k": act})) as one:
        await one.post("k")
        await one.until("done", "k")

        async def held() -> bool:
            return one.ends == [end]

        await eventually(held, what="the end is held")


async def test_a_record_that_a_rule_forbids_fails_visibly_and_changes_nothing(
    world: ServiceWorld,
) -> None:
    async def act(_row: Row) -> Record:
        def record(tx: Tx) -> None:
            noting("half")(tx)
            raise Invalid("the task is not what it was")

        return record

    async with node(world, Maker(acts={"k": act})) as one:
        await one.post("k", "next")
        await one.until("done", "next")
        failed = (await one.all())["k"]
        assert (failed["status"], failed["error"]) == ("failed", "the task is not what it was")
        assert await one.store.read(notes) == set()
        feed = await one.store.read(activity.newest, one.tenant_id, limit=5)
        assert [entry["type"] for entry in feed[:1]] == ["delivery_failed"]
        await one.store.write(retry, "k")


async def test_a_record_that_cannot_be_made_now_is_tried_again_unsure(
    world: ServiceWorld,
) -> None:
    refusals: list[Exception] = [Stopped("stopped"), KeyError("a mistake of ours")]

    async def act(_row: Row) -> Record:
        refusal = refusals.pop(0) if refusals else None

        def record(tx: Tx) -> None:
            noting("half")(tx)
            if refusal is not None:
                raise refusal

        return record

    async with node(world, Maker(acts={"k": act})) as one:
        await one.post("k")
        await one.until_begun(1)
        row = await settled(one, "k")
        assert (row["tries"], row["unsure"], row["error"]) == (0, True, "stopped")
        await later(one, world, seconds=30)
        await one.until_begun(2)
        row = await settled(one, "k")
        assert (row["tries"], row["error"]) == (1, "KeyError: 'a mistake of ours'")
        await later(one, world, seconds=1)
        await one.until("done", "k")
        assert await one.store.read(notes) == {"half"}


async def settled(one: Node, key: str) -> Row:
    """Return a delivery once nobody holds it."""
    found: dict[str, Row] = {}

    async def free() -> bool:
        found.update(await one.all())
        return found[key]["claimed_until"] is None

    await eventually(free, what=f"{key} is not claimed")
    return found[key]


async def test_a_postponed_one_holds_up_its_lane_until_it_is_tried_again(
    world: ServiceWorld,
) -> None:
    busy = Postponed("busy", after_ms=7_000, counts=False)
    async with node(world, Maker(acts={"1": raising(busy)})) as one:
        await one.post("1", "2")
        await one.until_begun(1)
        row = await settled(one, "1")
        assert (row["tries"], row["unsure"], row["error"]) == (0, False, "busy")
        assert row["due_at"] == world.time() + 7_000
        await later(one, world, seconds=7)
        await one.until("done", "1", "2")
        assert one.maker.begun == ["1", "1", "2"]


async def test_what_breaks_is_tried_again_later_unsure_and_others_go_on(
    world: ServiceWorld,
) -> None:
    acts = {"1": raising(ValueError("a mistake")), "2": raising(Unavailable("no store"))}
    async with node(world, Maker(acts=acts)) as one:
        await one.post("1", lane="a")
        await one.post("2", lane="b")
        await one.post("fine", lane="c")
        await one.until("done", "fine")
        broken, without = await settled(one, "1"), await settled(one, "2")
        assert (broken["tries"], broken["unsure"]) == (1, True)
        assert broken["error"] == "ValueError: a mistake"
        assert (without["tries"], without["unsure"], without["error"]) == (0, True, "no store")
        assert 750 <= broken["due_at"] - world.time() <= 1_000
        await later(one, world, seconds=2)
        await one.until("done", "1", "2")


async def test_an_undeliverable_one_fails_at_once_and_its_lane_goes_on(world: ServiceWorld) -> None:
    async with node(world, Maker(acts={"1": raising(Undeliverable("no such channel"))})) as one:
        await one.post("1", "2")
        await one.until("done", "2")
        failed = (await one.all())["1"]
        assert (failed["status"], failed["error"]) == ("failed", "no such channel")
        await one.store.write(retry, "1")
        await one.until("done", "1")


async def test_a_box_whose_other_side_refuses_us_rests_as_a_whole(
    world: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "HALT_S", 0.3)
    acts = {"1": raising(Halted("the token was revoked"), Halted("the token was revoked"))}
    async with node(world, Maker(acts=acts)) as one:
        await one.post("1")
        await one.until_begun(1)
        row = await settled(one, "1")
        assert (row["tries"], row["unsure"], row["status"]) == (0, False, "pending")
        asked = one.store.asked.copy()
        await one.post("2", lane="b")
        one.wake()
        await asyncio.sleep(0)
        assert one.maker.begun == ["1"]
        assert one.store.asked == asked, "while it rests nothing is asked"
        await one.until("done", "1", "2")
        assert one.told == ["the token was revoked", None]


async def test_a_handler_that_takes_too_long_is_given_up_within_its_claim(
    world: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PATIENCE_S", 0.05)
    async with node(world, Maker(acts={"1": Gate()})) as one:
        await one.post("1")
        await one.until_begun(1)
        row = await settled(one, "1")
        assert (row["tries"], row["unsure"], row["error"]) == (1, True, "it took too long")
    assert worker.PATIENCE_S < CLAIM_S


async def test_a_store_that_is_away_delays_the_record_and_loses_nothing(
    world: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus.delivery.patience.PAUSE_S", 0.01)
    gate = Gate()

    async def act(row: Row) -> Record:
        await gate(row)
        return noting("made")

    async with node(world, Maker(acts={"k": act})) as one:
        await one.post("k")
        await one.until_begun(1)
        one.store.failures = [Unavailable("away")] * 3
        gate.opened.set()
        await one.until("done", "k")
        assert one.maker.begun == ["k"]
        assert await one.store.read(notes) == {"made"}


async def test_a_node_that_stops_finishes_what_is_under_way_and_begins_nothing_more(
    world: ServiceWorld,
) -> None:
    gate = Gate()
    async with node(world, Maker(acts={"1": gate}), together=5) as one:
        await one.post("1", "2")
        await one.until_begun(1)
        one.task.cancel()
        await one.post("beside", lane="b")
        await turns(10)
        gate.opened.set()
        with contextlib.suppress(asyncio.CancelledError):
            await one.task
        stored = await one.all()
        assert [row["status"] for row in stored.values()] == ["done", "pending", "pending"]
        assert [row["claimed_until"] for row in stored.values()] == [None] * 3
        assert one.maker.begun == ["1"]


async def test_what_a_node_leaves_behind_is_claimed_again_once_its_claim_ran_out(
    world: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "FINISH_S", 0.01)
    async with node(world, Maker(acts={"1": Gate()})) as first:
        await first.post("1", "2")
        await first.until_begun(1)
        first.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first.task
        assert (await first.all())["1"]["claimed_until"] is not None
    async with node(world) as second:
        await second.post("beside", lane="b")
        await second.until("done", "beside")
        assert second.maker.begun == ["beside"]
        await later(second, world, seconds=CLAIM_S)
        await second.until("done", "1", "2")
        assert [(row["key"], row["unsure"]) for row in second.maker.seen[1:]] == [
            ("1", True),
            ("2", False),
        ]


async def test_an_end_that_comes_after_somebody_else_claimed_records_nothing(
    world: ServiceWorld,
) -> None:
    gate = Gate()

    async def act(row: Row) -> Record:
        await gate(row)
        return noting("too late")

    async with node(world, Maker(acts={"k": act})) as one:
        await one.post("k")
        await one.until_begun(1)
        world.time.advance(seconds=CLAIM_S)
        (again,) = await one.store.write(deliveries.claim, BOX, limit=1)
        gate.opened.set()

        async def tried() -> bool:
            return one.store.asked["_end"] > 0

        await eventually(tried, what="the end was tried")
        await one.post("beside", lane="b")
        await one.until("done", "beside")
        assert await one.store.read(notes) == set()
        await one.store.write(deliveries.end, again)


async def test_an_idle_box_is_looked_at_once_a_second_and_a_blocked_one_no_more(
    world: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With polls that take ten times as long, a hundred turns of the loop ask nothing more."""
    monkeypatch.setattr(worker, "POLL_S", 10.0)
    gate = Gate()
    acts: dict[str, Act] = {"postponed": raising(Postponed("busy", after_ms=60_000)), "held": gate}
    async with node(world, Maker(acts=acts)) as one:
        await turns(100)
        assert sum(one.store.asked.values()) == 1
        await one.post("postponed", "behind")
        await one.until_begun(1)
        await settled(one, "postponed")
        await one.post("held", "waits", lane="b")
        await one.until_begun(2)
        await turns(100)
        asked = one.store.asked.copy()
        await turns(100)
        assert one.store.asked == asked
        assert asked["claim"] == 2
        assert asked["next_due"] < 10
        gate.opened.set()
        await one.until("done", "held", "waits")


async def test_what_others_are_about_is_waited_for_and_not_asked_after_all_the_time(
    two_worlds: tuple[ServiceWorld, ServiceWorld],
) -> None:
    world, _ = two_worlds
    async with node(world) as one:
        with world.database.writer.begin() as connection:
            lane = {"box": BOX, "lane": "a", "open_at": world.time(), "due_at": world.time()}
            connection.execute(schema.delivery_lanes.insert().values(lane))
        with world.database.writer.begin() as connection:
            connection.execute(schema.delivery_lanes.select().with_for_update())
            before = asyncio.get_running_loop().time()
            one.wake()
            await turns(100)
            passed = asyncio.get_running_loop().time() - before
        assert 1 <= one.store.asked["claim"] <= 2 + passed / 0.05


async def turns(number: int) -> None:
    """Let everything that is ready run, so often."""
    for _ in range(number):
        await asyncio.sleep(0.001)


async def test_a_second_node_shares_the_work_and_nothing_is_done_twice(
    two_worlds: tuple[ServiceWorld, ServiceWorld],
) -> None:
    async def slowly(_row: Row) -> Record:
        await asyncio.sleep(0.002)
        return nothing

    keys = {lane: [f"{lane}{number:03}" for number in range(20)] for lane in "abcdefgh"}
    acts: dict[str, Act] = {key: slowly for some in keys.values() for key in some}
    maker_a, maker_b = Maker(acts=acts), Maker(acts=acts)
    async with (
        node(two_worlds[0], maker_a, together=2) as a,
        node(two_worlds[1], maker_b, together=2) as b,
    ):
        for number in range(20):
            for lane, some in keys.items():
                await (a if number % 2 else b).post(some[number], lane=lane)
        await a.until("done", *acts)
    begun = maker_a.begun + maker_b.begun
    assert sorted(begun) == sorted(acts), "each once"
    assert maker_a.begun
    assert maker_b.begun
    for one in (maker_a, maker_b):
        assert all(sorted(mine) == mine for mine in by_lane(one.begun)), "in order"
    assert not any(row["unsure"] for row in (maker_a.seen + maker_b.seen))


def by_lane(begun: list[str]) -> list[list[str]]:
    return [[key for key in begun if key[0] == lane] for lane in "abcdefgh"]
