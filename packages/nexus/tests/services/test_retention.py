"""Tables that grow with traffic have a bound."""

from typing import Any

import pytest

from nexus.domain.errors import NotReady
from nexus.domain.limits import Limits
from nexus.services import (
    activity,
    agents,
    calls,
    dispatch,
    events,
    gaps,
    handover,
    retention,
    sessions,
)
from nexus.services.agents import Wake
from nexus.store import Tx, schema
from nexus.store.statement import Statement
from oblivion.protocol import AgentReady, GapPayload
from service_world import NODE, ServiceWorld

DAY_S = 24 * 3600
PASSING: dict[str, tuple[int, str, dict[str, Any]]] = {
    "idempotency_keys": (
        DAY_S,
        "created_at",
        {"client_id": "c", "key": "k", "fingerprint": "f", "status": 200, "answer": {}},
    ),
    "writers": (DAY_S, "seen_at", {"id": "w", "commits": 1}),
    "slack_approvals": (30 * DAY_S, "created_at", {"call_id": "c", "channel_id": "C", "ts": "1"}),
}
"""What serves for a while only: how many seconds, by which column, and a row of it."""


def test_acknowledged_events_go_after_a_week_and_others_stay(world: ServiceWorld) -> None:
    agent = world.agent("a")
    for _ in range(2):
        world.run(agents.wake, world.admin, agent, Wake())
    world.run(events.acknowledge, agent, [1])
    world.time.advance(seconds=7 * DAY_S - 1)
    assert world.run(retention.prune) == 0
    world.time.advance(seconds=2)
    assert world.run(retention.prune) == 1
    assert [event["seq"] for event in world.events_of(agent)] == [2]


def test_answers_of_calls_go_after_a_day(world: ServiceWorld) -> None:
    agent = world.agent("a")
    assert world.run(calls.once, agent, "id", lambda tx: {"first": True}) == {"first": True}
    world.time.advance(seconds=DAY_S + 1)
    world.run(retention.prune)
    assert world.run(calls.once, agent, "id", lambda tx: {"first": False}) == {"first": False}


def test_the_feed_goes_after_a_month(world: ServiceWorld) -> None:
    agent = world.agent("a")
    world.connect(agent)
    world.task()
    world.run(dispatch.lease_next, NODE, 1000)
    world.run(events.acknowledge, agent, [1])
    world.time.advance(seconds=30 * DAY_S + 1)
    world.run(retention.prune)
    assert world.run(activity.newest, world.admin.tenant_id, limit=10) == []


@pytest.mark.parametrize("name", PASSING)
def test_what_serves_for_a_while_goes_when_that_is_over(world: ServiceWorld, name: str) -> None:
    keep_s, age, row = PASSING[name]
    table = schema.metadata.tables[name]

    def there(tx: Tx) -> bool:
        mine = [table.c[column] == value for column, value in row.items() if value != {}]
        return bool(tx.rows(table.select().where(*mine)))

    def put(tx: Tx) -> None:
        tx.insert(table, {**row, age: tx.now})

    world.run(put)
    world.time.advance(seconds=keep_s)
    world.run(retention.prune)
    assert world.run(there)
    world.time.advance(seconds=1)
    world.run(retention.prune)
    assert not world.run(there)


SMALL = Limits(keep_unheard_ms=30 * DAY_S * 1000, most_unheard=3)


def wake(world: ServiceWorld, agent: str, times: int) -> None:
    for _ in range(times):
        world.run(agents.wake, world.admin, agent, Wake())


def gap_at_ready(world: ServiceWorld, agent: str, last_seq: int = 0) -> tuple[int, int] | None:
    """Connect as a process that had all up to ``last_seq`` and return the gap that it is told."""
    ref = world.run(sessions.open_session, agent, NODE)
    ready = AgentReady(version="1", acks=True, last_seq=last_seq)

    def announce(tx: Tx) -> GapPayload | None:
        return gaps.owed(tx, agent, ready, handover.agent_ready(tx, ref, ready, world.limits))

    gap = world.run(announce)
    return None if gap is None else (gap.from_seq, gap.to_seq)


def test_events_that_nobody_comes_for_are_dropped_after_a_month_and_announced(
    world: ServiceWorld,
) -> None:
    agent = world.agent("a")
    wake(world, agent, 2)
    world.time.advance(seconds=30 * DAY_S - 1)
    wake(world, agent, 1)
    assert world.run(retention.prune, SMALL) == 0
    world.time.advance(seconds=2)
    world.run(retention.prune, SMALL)
    assert [event["seq"] for event in world.events_of(agent)] == [3]
    assert gap_at_ready(world, agent) == (1, 2)


def test_of_too_many_events_that_nobody_comes_for_the_newest_stay(world: ServiceWorld) -> None:
    agent, other = world.agent("a"), world.agent("b")
    wake(world, agent, 5)
    wake(world, other, 3)
    world.run(retention.prune, SMALL)
    assert [event["seq"] for event in world.events_of(agent)] == [3, 4, 5]
    assert [event["seq"] for event in world.events_of(other)] == [1, 2, 3]
    wake(world, agent, 1)
    world.run(retention.prune, SMALL)
    assert gap_at_ready(world, agent) == (1, 3)
    assert gap_at_ready(world, other) is None


def test_a_gap_is_announced_until_the_agent_has_gone_on(world: ServiceWorld) -> None:
    agent = world.agent("a")
    wake(world, agent, 5)
    world.run(retention.prune, SMALL)
    assert gap_at_ready(world, agent) == (1, 2)
    assert gap_at_ready(world, agent, last_seq=1) == (2, 2)
    assert gap_at_ready(world, agent, last_seq=2) is None
    assert gap_at_ready(world, agent) is None


def test_an_acknowledged_later_event_shows_that_the_agent_has_gone_on(world: ServiceWorld) -> None:
    agent = world.agent("a")
    wake(world, agent, 5)
    world.run(retention.prune, SMALL)
    world.run(events.acknowledge, agent, [3])
    assert gap_at_ready(world, agent) is None


def test_a_connected_agent_whose_events_are_dropped_has_to_begin_anew(world: ServiceWorld) -> None:
    agent = world.agent("a")
    ref = world.connect(agent)
    wake(world, agent, 4)
    world.run(retention.prune, SMALL)
    with pytest.raises(NotReady):
        world.run(sessions.require_open, ref)


def test_an_acknowledgement_costs_a_write_only_for_what_waits(
    world: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = world.agent("a")
    wake(world, agent, 3)
    written: list[int] = []

    def change(tx: Tx, statement: Statement, **values: Any) -> int:
        written.append(values["seq"])
        return plainly(tx, statement, **values)

    plainly = Tx.change
    monkeypatch.setattr(Tx, "change", change)
    assert world.run(events.acknowledge, agent, [*range(2, 5_000), *[3] * 5_000]) == 2
    assert written == [2, 3]
    assert [event["seq"] for event in world.events_of(agent)] == [1]
