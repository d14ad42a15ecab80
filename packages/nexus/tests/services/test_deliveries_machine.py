"""Whatever the order of posts, claims, ends, crashes and retries, their rules are kept."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from letters import BOX, all_of, letter, retry
from nexus.domain.errors import Conflict
from nexus.services import deliveries
from nexus.services.deliveries import CLAIM_MS
from nexus.store import schema
from nexus.store.tx import Row, Tx
from service_world import ServiceWorld

TRIES = 3
LANES = st.sampled_from("ab")
ANY = st.integers(0, 99)


@dataclass
class Item:
    """What a delivery should look like."""

    key: str
    lane: str
    urgent: bool
    due: int
    place: int
    status: str = "pending"
    tries: int = 0
    unsure: bool = False
    until: int | None = None


@dataclass
class Model:
    """What deliveries are to be, said as plainly as can be."""

    now: Callable[[], int]
    items: dict[str, Item] = field(default_factory=dict)
    open_at: dict[str, int] = field(default_factory=dict)

    def first(self, lane: str) -> Item | None:
        pending = [
            one for one in self.items.values() if (one.lane, one.status) == (lane, "pending")
        ]
        return min(pending, key=lambda one: (not one.urgent, one.place), default=None)

    def due(self) -> dict[str, int]:
        """Return when each lane's first can be claimed."""
        firsts = {lane: self.first(lane) for lane in self.open_at}
        return {lane: max(first.due, self.open_at[lane]) for lane, first in firsts.items() if first}

    def claim(self, limit: int) -> list[str]:
        due = sorted((at, lane) for lane, at in self.due().items() if at <= self.now())
        taken = [self.take(lane) for _, lane in due[:limit]]
        return [key for key in taken if key is not None]

    def take(self, lane: str) -> str | None:
        first = self.first(lane)
        if first is None or first.due > self.now():
            return None
        if first.until is not None:
            first.tries, first.unsure = first.tries + 1, True
            if first.tries >= TRIES:
                first.status, first.until = "failed", None
                return self.take(lane)
        first.until = self.open_at[lane] = self.now() + CLAIM_MS
        return first.key

    def settle(self, held: Row, open_at: int, **values: Any) -> bool:
        """Change what a claim holds; False when it does not hold it any more."""
        item = self.items[held["key"]]
        if (item.status, item.until) != ("pending", held["claimed_until"]):
            return False
        if self.open_at[item.lane] == item.until:
            self.open_at[item.lane] = open_at
        for name, value in {**values, "until": None}.items():
            setattr(item, name, value)
        return True


class Deliveries(RuleBasedStateMachine):
    """The services beside their model."""

    world: ServiceWorld

    def __init__(self) -> None:
        super().__init__()
        self.world.run(clear)
        self.model = Model(now=self.world.time)
        self.held: list[Row] = []

    @rule(number=st.integers(0, 12), lane=LANES, urgent=st.booleans())
    def post(self, number: int, lane: str, urgent: bool) -> None:
        key = f"k{number}"
        is_new = key not in self.model.items
        posted = letter(self.world.admin.tenant_id, key, lane=lane, urgent=urgent)
        assert self.world.run(deliveries.post, posted) is is_new
        if is_new:
            place = len(self.model.items)
            item = Item(key=key, lane=lane, urgent=urgent, due=self.model.now(), place=place)
            self.model.items[key] = item
            self.model.open_at.setdefault(lane, self.model.now())

    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        rows = self.world.run(deliveries.claim, BOX, limit=limit)
        assert [row["key"] for row in rows] == self.model.claim(limit)
        self.held += rows

    @precondition(lambda self: self.held)
    @rule(which=ANY, gap_ms=st.sampled_from([0, 1_000]), go_on=st.booleans())
    def end(self, which: int, gap_ms: int, go_on: bool) -> None:
        row, now = self.drop(which), self.model.now()
        if not self.model.settle(row, now + gap_ms, status="done"):
            return self.is_lost(deliveries.end, row, gap_ms=gap_ms, go_on=go_on)
        next_ = self.world.run(deliveries.end, row, gap_ms=gap_ms, go_on=go_on)
        may_go_on = go_on and self.model.due().get(row["lane"], now + 1) <= now
        expected = self.model.take(row["lane"]) if may_go_on else None
        assert (next_ and next_["key"]) == expected
        self.held += [next_] if next_ else []
        return None

    @precondition(lambda self: self.held)
    @rule(
        which=ANY,
        after_ms=st.sampled_from([0, 1_000, 2 * CLAIM_MS]),
        counts=st.booleans(),
        unsure=st.booleans(),
    )
    def postpone(self, which: int, after_ms: int, counts: bool, unsure: bool) -> None:
        row, now = self.drop(which), self.model.now()
        how: dict[str, Any] = {"after_ms": after_ms, "counts": counts, "unsure": unsure}
        values: dict[str, Any] = {"tries": row["tries"] + counts, "unsure": row["unsure"] or unsure}
        spent = values["tries"] >= TRIES
        values |= {"status": "failed"} if spent else {"due": now + after_ms}
        if not self.model.settle(row, now, **values):
            return self.is_lost(deliveries.postpone, row, "busy", **how)
        self.world.run(deliveries.postpone, row, "busy", **how)
        return None

    @precondition(lambda self: self.held)
    @rule(which=ANY)
    def release(self, which: int) -> None:
        row = self.drop(which)
        self.world.run(deliveries.release, [row])
        self.model.settle(row, self.model.now())

    @precondition(lambda self: self.held)
    @rule(which=ANY)
    def fail(self, which: int) -> None:
        row = self.drop(which)
        if not self.model.settle(row, self.model.now(), status="failed"):
            return self.is_lost(deliveries.fail, row, "no")
        self.world.run(deliveries.fail, row, "no")
        return None

    @precondition(lambda self: self.of_status("failed"))
    @rule(which=ANY)
    def retry(self, which: int) -> None:
        failed = self.of_status("failed")
        item = failed[which % len(failed)]
        self.world.run(retry, item.key)
        item.status, item.tries, item.unsure = "pending", 0, False
        item.due = self.model.now()

    @precondition(lambda self: self.held)
    @rule(which=ANY)
    def crash(self, which: int) -> None:
        """Whoever held it ends without a word; time runs its claim out."""
        self.drop(which)

    @rule(ms=st.sampled_from([1, 1_000, CLAIM_MS - 1, CLAIM_MS]))
    def wait(self, ms: int) -> None:
        self.world.time.advance(seconds=ms / 1_000)

    @invariant()
    def each_is_as_it_should_be(self) -> None:
        stored = self.world.run(all_of)
        assert [shown(row) for row in stored.values()] == [
            (one.key, one.status, one.tries, one.unsure, one.due, one.until)
            for one in self.model.items.values()
        ]
        due = self.model.due().values()
        self.world.run(deliveries.claim, BOX, limit=0)  # which plans what was posted
        expected = max(min(due) - self.model.now(), 0) if due else None
        assert self.world.run(deliveries.next_due, BOX) == expected

    @invariant()
    def never_are_two_of_a_lane_under_way(self) -> None:
        now = self.model.now()
        under_way = [
            row["lane"]
            for row in self.world.run(all_of).values()
            if row["claimed_until"] is not None and row["claimed_until"] > now
        ]
        assert len(under_way) == len(set(under_way))

    def teardown(self) -> None:
        """What is left is made, in order within each lane: nothing is lost or stuck."""
        self.world.time.advance(seconds=10 * CLAIM_MS / 1_000)
        left = {one.key for one in self.of_status("pending")}
        while rows := self.world.run(deliveries.claim, BOX, limit=9):
            assert [row["key"] for row in rows] == self.model.claim(9)
            for row in rows:
                self.world.run(deliveries.end, row)
                assert self.model.settle(row, self.model.now(), status="done")
        ended = self.world.run(all_of)
        assert all(ended[key]["status"] in {"done", "failed"} for key in left)

    def drop(self, which: int) -> Row:
        return self.held.pop(which % len(self.held))

    def of_status(self, status: str) -> list[Item]:
        return [one for one in self.model.items.values() if one.status == status]

    def is_lost(self, service: Callable[..., object], *args: Any, **how: Any) -> None:
        with pytest.raises(Conflict, match="no longer claimed here"):
            self.world.run(service, *args, **how)


def shown(row: Row) -> tuple[Any, ...]:
    names = ("key", "status", "tries", "unsure", "due_at", "claimed_until")
    return tuple(row[name] for name in names)


def clear(tx: Tx) -> None:
    tx.change(schema.deliveries.delete())
    tx.change(schema.delivery_lanes.delete())


def explore(world: ServiceWorld, first_seed: int, *, traces: int) -> None:
    """Run traces in small batches, each with a seed of its own, printed when it fails."""
    print(f"{traces} traces with seeds from {first_seed} on")
    machine = type("Machine", (Deliveries,), {"world": world})
    chosen = settings(
        max_examples=10,
        stateful_step_count=40,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    for number in range(first_seed, first_seed + traces // 10):
        try:
            run_state_machine_as_test(seed(number)(machine), settings=chosen)
        except BaseException as error:
            error.add_note(f"replay with --hypothesis-seed={number}")
            raise


@pytest.fixture
def chosen_seed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Where seeds begin; and few tries, so that they are used up within a trace."""
    monkeypatch.setattr("nexus.domain.deliveries.MAX_TRIES", TRIES)
    given = request.config.getoption("--hypothesis-seed")
    return random.SystemRandom().randrange(2**32) if given is None else int(given)


@pytest.mark.timeout(300)  # a trace that breaks something is made shorter for minutes
def test_no_order_of_commands_breaks_the_rules_of_deliveries(
    world: ServiceWorld, database_kind: str, chosen_seed: int
) -> None:
    explore(world, chosen_seed, traces={"sqlite": 100, "postgres": 20}[database_kind])


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_thousands_of_orders_break_no_rule_of_deliveries(
    world: ServiceWorld, database_kind: str, chosen_seed: int
) -> None:
    explore(world, chosen_seed, traces={"sqlite": 3_000, "postgres": 500}[database_kind])
