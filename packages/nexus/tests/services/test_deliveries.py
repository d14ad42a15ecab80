"""What comes in from other services and goes out to them: each once, in its order, to an end."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from letters import BOX, all_of, letter, retry
from nexus.domain.deliveries import LONGEST_PAUSE_MS, MAX_TRIES, pause_ms
from nexus.domain.errors import Conflict
from nexus.services import activity, deliveries, retention, watch
from nexus.services.deliveries import CLAIM_MS
from nexus.store import schema
from nexus.store.tx import Row, Tx
from service_world import ServiceWorld

CLAIM_S = CLAIM_MS / 1000
DAY_S = 24 * 3600


def post(world: ServiceWorld, key: str, **more: Any) -> bool:
    return world.run(deliveries.post, letter(world.admin.tenant_id, key, **more))


def claim(world: ServiceWorld, limit: int = 16) -> list[Row]:
    return world.run(deliveries.claim, BOX, limit=limit)


def keys(rows: list[Row]) -> list[str]:
    return [row["key"] for row in rows]


def stored(world: ServiceWorld, key: str) -> Row:
    return world.run(all_of)[key]


def deliver_all(world: ServiceWorld) -> list[str]:
    """Claim and end until nothing is due; return the keys in that order."""
    made: list[str] = []
    while rows := claim(world, limit=1):
        made += keys(rows)
        world.run(deliveries.end, rows[0])
    return made


def test_a_key_is_taken_once_within_its_box(world: ServiceWorld) -> None:
    assert post(world, "k")
    assert not post(world, "k", lane="b")
    assert post(world, "k", box="other")
    assert deliver_all(world) == ["k"]
    assert not post(world, "k"), "also when it was made"


def test_a_lane_goes_in_order_and_the_urgent_first(world: ServiceWorld) -> None:
    for key in ("1", "2", "3"):
        post(world, key)
    post(world, "u1", urgent=True)
    post(world, "u2", urgent=True)
    assert deliver_all(world) == ["u1", "u2", "1", "2", "3"]


def test_lanes_do_not_wait_for_each_other(world: ServiceWorld) -> None:
    for key, lane in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("c1", "c")):
        post(world, key, lane=lane)
    assert sorted(keys(claim(world))) == ["a1", "b1", "c1"]
    assert claim(world) == [], "of each lane one is under way"


def test_whoever_waits_longest_comes_first(world: ServiceWorld) -> None:
    for lane in "zyx":
        post(world, lane, lane=lane)
        world.time.advance(seconds=1)
    assert keys(claim(world, limit=2)) == ["z", "y"]
    assert keys(claim(world, limit=2)) == ["x"]


def test_an_urgent_one_waits_for_what_is_under_way_in_its_lane(world: ServiceWorld) -> None:
    post(world, "first")
    (first,) = claim(world)
    post(world, "urgent", urgent=True)
    assert claim(world) == []
    world.run(deliveries.end, first)
    assert keys(claim(world)) == ["urgent"]


def test_a_lane_keeps_its_pace(world: ServiceWorld) -> None:
    for key, lane in (("a1", "a"), ("a2", "a"), ("b1", "b")):
        post(world, key, lane=lane)
    for row in claim(world):
        world.run(deliveries.end, row, gap_ms=1_000)
    post(world, "b2", lane="b", urgent=True)
    assert claim(world) == []
    assert world.run(deliveries.next_due, BOX) == 1_000
    world.time.advance(seconds=1)
    assert sorted(keys(claim(world))) == ["a2", "b2"]


def test_the_next_of_a_lane_is_claimed_with_the_end_of_the_one_before(world: ServiceWorld) -> None:
    for key in ("1", "2", "3"):
        post(world, key)
    (first,) = claim(world)
    second = world.run(deliveries.end, first, go_on=True)
    assert second is not None
    assert second["key"] == "2"
    assert claim(world) == []
    assert world.run(deliveries.end, second, gap_ms=500, go_on=True) is None, "it keeps its pace"
    world.time.advance(seconds=1)
    assert keys(claim(world)) == ["3"]


def test_what_is_recorded_stands_or_falls_with_the_end(world: ServiceWorld) -> None:
    post(world, "k")
    (row,) = claim(world)

    def refuse(tx: Tx) -> None:
        world_note(tx, "half")
        raise Conflict("no")

    with pytest.raises(Conflict):
        world.run(deliveries.end, row, refuse)
    assert stored(world, "k")["status"] == "pending"
    world.run(deliveries.end, row, lambda tx: world_note(tx, "whole"))
    assert stored(world, "k")["status"] == "done"
    assert [note["key"] for note in world.run(notes)] == ["whole"]


def world_note(tx: Tx, key: str) -> None:
    tx.insert(schema.meta, {"key": key, "value": "note"})


def notes(tx: Tx) -> list[Row]:
    return list(tx.rows(schema.meta.select().where(schema.meta.c.value == "note")))


def test_a_claim_that_ran_out_is_unsure_and_counts(world: ServiceWorld) -> None:
    post(world, "k")
    (lost,) = claim(world)
    assert (lost["unsure"], lost["tries"]) == (False, 0)
    world.time.advance(seconds=CLAIM_S - 0.001)
    assert claim(world) == []
    world.time.advance(seconds=0.001)
    (again,) = claim(world)
    assert (again["unsure"], again["tries"]) == (True, 1)
    with pytest.raises(Conflict, match="no longer claimed here"):
        world.run(deliveries.end, lost)
    world.run(deliveries.release, [lost])  # which changes nothing
    world.run(deliveries.end, again)


def test_whoever_comes_late_may_end_what_nobody_else_claimed(world: ServiceWorld) -> None:
    post(world, "k")
    (late,) = claim(world)
    world.time.advance(seconds=CLAIM_S * 2)
    world.run(deliveries.end, late)
    assert claim(world) == []


def test_a_late_end_does_not_open_the_lane_of_whoever_claimed_since(world: ServiceWorld) -> None:
    post(world, "late")
    (late,) = claim(world)
    world.time.advance(seconds=CLAIM_S)
    post(world, "urgent", urgent=True)
    assert keys(claim(world)) == ["urgent"]
    post(world, "next")
    world.run(deliveries.end, late)
    assert claim(world) == [], "the urgent one is under way"


def test_a_postponed_one_is_tried_again_in_its_place(world: ServiceWorld) -> None:
    post(world, "1")
    post(world, "2")
    (row,) = claim(world)
    world.run(deliveries.postpone, row, "busy", after_ms=3_000)
    assert claim(world) == []
    assert world.run(deliveries.next_due, BOX) == 3_000
    world.time.advance(seconds=3)
    (row,) = claim(world)
    assert (row["key"], row["tries"], row["unsure"], row["error"]) == ("1", 1, False, "busy")
    world.run(deliveries.postpone, row, "no answer", after_ms=0, counts=False, unsure=True)
    (row,) = claim(world)
    assert (row["tries"], row["unsure"]) == (1, True)
    world.run(deliveries.postpone, row, "busy", after_ms=0)
    assert stored(world, "1")["unsure"], "what may have been done once may have been done"


def test_a_released_one_is_as_if_nobody_had_claimed_it(world: ServiceWorld) -> None:
    post(world, "k")
    world.run(deliveries.release, claim(world))
    (row,) = claim(world)
    assert (row["tries"], row["unsure"]) == (0, False)


def test_after_its_tries_it_has_failed_for_all_to_see(world: ServiceWorld) -> None:
    task = world.task("Shown elsewhere")
    post(world, "k", task_id=task.id)
    post(world, "next")
    for _ in range(MAX_TRIES):
        (row,) = claim(world)
        world.run(deliveries.postpone, row, "busy\x00", after_ms=0)
    failed = stored(world, "k")
    assert (failed["status"], failed["tries"]) == ("failed", MAX_TRIES)
    assert failed["error"] == f"given up after {MAX_TRIES} tries; the last one: busy"
    (entry,) = [
        entry
        for entry in world.run(activity.newest, world.admin.tenant_id, limit=10)
        if entry["type"] == "delivery_failed"
    ]
    assert entry["task_id"] == task.id
    assert entry["data"]["delivery_id"] == failed["id"]
    assert keys(claim(world)) == ["next"], "its lane goes on"


def test_one_that_kills_whoever_claims_it_has_failed_after_its_tries(world: ServiceWorld) -> None:
    post(world, "poison")
    post(world, "next")
    for _ in range(MAX_TRIES):
        assert keys(claim(world)) == ["poison"]
        world.time.advance(seconds=CLAIM_S)
    assert keys(claim(world)) == ["next"]
    assert "never ended" in stored(world, "poison")["error"]


def test_a_failed_one_is_retried_as_a_fresh_one_before_what_came_after(world: ServiceWorld) -> None:
    for key in ("1", "2"):
        post(world, key)
    (row,) = claim(world)
    with pytest.raises(Conflict, match="is pending; only a failed one"):
        world.run(retry, "1")
    world.run(deliveries.fail, row, "no such channel")
    world.run(retry, "1")
    (row,) = claim(world)
    assert (row["key"], row["tries"], row["ended_at"]) == ("1", 0, None)
    world.time.advance(seconds=CLAIM_S)
    (unsure,) = claim(world)
    world.run(deliveries.fail, unsure, "no such channel")
    world.run(retry, "1")
    (row,) = claim(world)
    assert not row["unsure"], "a person has looked"
    with pytest.raises(Conflict):
        world.run(retry, "2")


def test_pauses_double_up_to_five_minutes_and_add_up_to_an_hour() -> None:
    pauses = [pause_ms(tries, 0) for tries in range(1, MAX_TRIES)]
    assert pauses[:4] == [1_000, 2_000, 4_000, 8_000]
    assert max(pauses) == LONGEST_PAUSE_MS
    assert 50 * 60_000 < sum(pauses) < 70 * 60_000
    assert pause_ms(1, 0.999) >= 750
    assert pause_ms(10**9, 0) == LONGEST_PAUSE_MS


def test_whoever_waits_for_a_box_is_woken_when_it_has_something_to_see_to(
    world: ServiceWorld,
) -> None:
    def woken() -> bool:
        was = deliveries.topic(BOX) in world.woken
        world.woken.clear()
        return was

    post(world, "1")
    post(world, "2")
    assert woken()
    (row,) = claim(world)
    world.run(deliveries.postpone, row, "busy", after_ms=1_000)
    assert woken()
    post(world, "urgent", urgent=True)
    assert woken()
    while rows := claim(world):
        woken()
        world.run(deliveries.end, rows[0])
        world.time.advance(seconds=1)
    assert not woken(), "nothing is left"


def test_what_pends_is_found_by_its_values(world: ServiceWorld) -> None:
    post(world, "1", task_id="t", kind="card")
    post(world, "2", task_id="t", kind="card", lane="b")
    post(world, "3", task_id="other", kind="card", lane="c")
    (first, *_) = claim(world, limit=1)
    found = world.run(deliveries.pending, BOX, kind="card", task_id="t")
    assert keys(list(found)) == [{"1": "2", "2": "1"}[first["key"]]], "unclaimed ones alone"
    world.time.advance(seconds=CLAIM_S)
    assert len(world.run(deliveries.pending, BOX, task_id="t")) == 2


def test_made_ones_go_after_a_week_and_failed_ones_after_a_month(world: ServiceWorld) -> None:
    for key in ("made", "failed", "pending"):
        post(world, key, lane=key)
    rows = {row["key"]: row for row in claim(world)}
    world.run(deliveries.end, rows["made"])
    world.run(deliveries.fail, rows["failed"], "no")
    world.run(deliveries.postpone, rows["pending"], "busy", after_ms=60 * DAY_S * 1_000)
    world.time.advance(seconds=7 * DAY_S)
    world.run(retention.prune)
    assert world.run(all_of).keys() == {"made", "failed", "pending"}
    world.time.advance(seconds=1)
    world.run(retention.prune)
    assert world.run(all_of).keys() == {"failed", "pending"}
    assert world.run(lanes) == {"pending"}, "an empty lane goes, too"
    world.run(retry, "failed")  # which makes its lane anew
    (row,) = claim(world)
    world.run(deliveries.fail, row, "no")
    world.time.advance(seconds=30 * DAY_S + 1)
    world.run(retention.prune)
    assert world.run(all_of).keys() == {"pending"}


def test_to_claim_takes_no_longer_where_thousands_wait(tmp_path: Path) -> None:
    """Counted in steps of the database's own machine, so that it is the same every time."""
    world = ServiceWorld(tmp_path / "nexus.db")

    def effort(waiting: int) -> int:
        letters = [letter(world.admin.tenant_id, f"{waiting} {n}") for n in range(waiting)]
        world.run(deliveries.post_all, letters)
        steps = itertools.count()

        def act(tx: Tx) -> None:
            driver: Any = tx.connection.connection.driver_connection
            driver.set_progress_handler(lambda: next(steps) and None, 1)
            (row,) = deliveries.claim(tx, BOX, limit=16)
            deliveries.end(tx, row)
            assert deliveries.next_due(tx, BOX) == 0
            driver.set_progress_handler(None, 1)

        world.run(act)
        return next(steps)

    few, many = effort(1_000), effort(5_000)
    world.database.close()
    assert 100 < many < 1.5 * few


def lanes(tx: Tx) -> set[str]:
    return {row["lane"] for row in tx.rows(sa.select(schema.delivery_lanes.c.lane))}


def test_a_clock_set_back_makes_nothing_rest_longer(world: ServiceWorld) -> None:
    world.run(watch.note, 120_000)
    for lane in ("postponed", "paced", "claimed"):
        post(world, f"{lane} 1", lane=lane)
        post(world, f"{lane} 2", lane=lane)
    rows = {row["lane"]: row for row in claim(world)}
    world.run(deliveries.postpone, rows["postponed"], "busy", after_ms=1_000)
    world.run(deliveries.end, rows["paced"], gap_ms=1_000)
    world.time.advance(seconds=-3600)
    world.run(watch.note, 120_000)
    assert sorted(keys(claim(world))) == ["paced 2", "postponed 1"]
    world.run(deliveries.end, rows["claimed"])
    assert keys(claim(world)) == ["claimed 2"], "whoever held it holds it still"
